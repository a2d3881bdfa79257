"""Gets weights into the store: found elsewhere or downloaded, checked, converted, recorded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from selfhvd_cli.errors import DiskFault, WeightsFault
from selfhvd_cli.weights import patience as patience_module
from selfhvd_cli.weights.check import check_signature
from selfhvd_cli.weights.convert import convert
from selfhvd_cli.weights.find import find
from selfhvd_cli.weights.https import Download, download, forget
from selfhvd_cli.weights.load import read_shapes
from selfhvd_cli.weights.locate import store_folder
from selfhvd_cli.weights.lock import StoreLock
from selfhvd_cli.weights.patience import Patience
from selfhvd_cli.weights.protection import check_protection
from selfhvd_cli.weights.record import Record, Trust, now, read_record, stored_file, write_record
from selfhvd_cli.weights.redact import redact_url
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.report import Phase, PullReport
from selfhvd_cli.weights.spec import SHA256, WeightSpec
from selfhvd_cli.weights.verify import matches, sha256_of

YES = frozenset({"1", "on", "true", "yes", "y", "t"})
OFFLINE_VARIABLES = ("SELFHVD_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True)
class _Arrival:
    """What is known of a file once its bytes are in the part file."""

    source: str
    stated_sha256: str = ""
    revision: str = ""
    resumed: bool = False


def is_offline(asked: bool = False) -> bool:
    """Whether the network must not be touched: as asked, or by SELFHVD_OFFLINE or HF_HUB_OFFLINE."""
    return asked or any(os.environ.get(name, "").strip().lower() in YES for name in OFFLINE_VARIABLES)


def pull(
    reference: str,
    *,
    offline: bool = False,
    mirror: str | None = None,
    again: bool = False,
    accept_new: bool = False,
    patience: Patience | None = None,
) -> Iterator[PullReport]:
    """Get what a reference means into the store, if it is not there; the last report has the path.

    Args:
        reference: as for `store.resolve`.
        offline: use what is here or in huggingface_hub's cache, else fail.
        mirror: base address used instead: a Hub for Hub entries, a folder of files for the others; SELFHVD_MIRROR
            says the same. The token for the Hub is not sent to it.
        again: fetch also if it is here, for instance damaged.
        accept_new: where only an earlier pull vouches for the hash, take another file and remember that one.
        patience: tries, waits and time-outs.

    Raises:
        WeightsFault: see `store.resolve`.
        DiskFault: the store cannot be written.
    """
    target = parse_reference(reference)
    if isinstance(target, Path):
        yield from _from_file(target)
        return
    if target.source == "embedded" or not again:
        path = find(target)
        if path is not None:
            yield PullReport(target.name, "done", path=path)
            return
    if target.source == "by hand":
        raise WeightsFault(
            f"{target.name}: its authors offer it for download by hand only. Get {target.filename} from "
            f"{target.page}, then: selfhvd weights import {target.filename} --name {target.name}"
        )
    yield from _into_store(
        target,
        offline=is_offline(offline),
        mirror=mirror or os.environ.get("SELFHVD_MIRROR") or None,
        again=again,
        accept_new=accept_new,
        patience=patience or patience_module.DEFAULT,
    )


def _into_store(
    spec: WeightSpec, *, offline: bool, mirror: str | None, again: bool, accept_new: bool, patience: Patience
) -> Iterator[PullReport]:
    if offline and not _is_cached(spec):
        raise WeightsFault(
            f"{spec.name}: not on this machine, and the network is not to be used (--offline, SELFHVD_OFFLINE or "
            f"HF_HUB_OFFLINE). Where there is a network: selfhvd weights pull {spec.name}"
        )
    stored = store_folder() / f"{spec.name}.safetensors"
    part = store_folder() / f"{spec.name}.part"
    with StoreLock(store_folder() / f"{spec.name}.lock") as lock:
        while not lock.acquire():
            yield PullReport(spec.name, "waiting", note="another process is fetching it")
        if not again and (path := find(spec)) is not None:
            yield PullReport(spec.name, "done", path=path)
            return
        earlier = None if accept_new else read_record(stored)
        arrival = yield from _fetch(spec, part, offline, mirror, patience, use_cache=not again)
        yield PullReport(spec.name, "checking", note="sha256")
        try:
            trust = _check_hashes(spec, part, arrival, earlier)
        except WeightsFault:
            forget(part)
            if not arrival.resumed:
                raise
            # Bytes of an earlier try may be the culprit: once more, from the first byte.
            arrival = yield from _fetch(spec, part, offline, mirror, patience, use_cache=False)
            trust = _check_hashes(spec, part, arrival, earlier)
        record = Record(
            name=spec.name,
            source=arrival.source,
            source_sha256=sha256_of(part),
            source_size=part.stat().st_size,
            stored_sha256="",
            trust=trust,
            revision=arrival.revision,
            architecture=spec.architecture,
            stored_at=now(),
        )
        note = yield from _store(spec, part, stored, record)
        yield PullReport(spec.name, "done", note=note, path=stored)


def _fetch(
    spec: WeightSpec, part: Path, offline: bool, mirror: str | None, patience: Patience, use_cache: bool
) -> Generator[PullReport, None, _Arrival]:
    """Bring the published bytes into `part`."""
    if spec.source == "hub" and use_cache and (taken := _take_cached(spec, part)) is not None:
        return taken
    if offline:
        raise WeightsFault(f"{spec.name}: huggingface_hub's cache has it damaged; pull it where there is a network.")
    resumed = part.exists()
    if spec.source == "hub":
        from selfhvd_cli.weights.hub import describe

        asking = describe(spec, mirror, patience)
        while True:
            try:
                yield PullReport(spec.name, "retrying", note=next(asking))
            except StopIteration as answer:
                there = answer.value
                break
        check_protection(spec, there.download.url)
        yield from _transfer(spec, there.download, part, patience)
        source = redact_url(there.download.url)
        return _Arrival(source, there.sha256, there.commit, resumed)
    url = f"{mirror.rstrip('/')}/{spec.filename}" if mirror else spec.url
    check_protection(spec, url)
    yield from _transfer(spec, Download(url, size=spec.size), part, patience)
    return _Arrival(redact_url(url), resumed=resumed)


def _transfer(spec: WeightSpec, wanted: Download, part: Path, patience: Patience) -> Iterator[PullReport]:
    for step in download(wanted, part, patience):
        phase: Phase = "retrying" if step.trouble else "downloading"
        yield PullReport(spec.name, phase, step.done, step.total, step.trouble)


def _is_cached(spec: WeightSpec) -> bool:
    if spec.source != "hub":
        return False
    from selfhvd_cli.weights.hub import cached_file

    return cached_file(spec) is not None


def _take_cached(spec: WeightSpec, part: Path) -> _Arrival | None:
    """Link or copy the file of huggingface_hub's cache into `part`, if it is there and intact."""
    from selfhvd_cli.weights.hub import cached_file

    cached = cached_file(spec)
    if cached is None:
        return None
    blob = cached[0].resolve()
    stated = blob.name if SHA256.fullmatch(blob.name) else ""  # that cache names large files by their sha256
    if stated and sha256_of(blob) != stated:
        return None
    forget(part)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(blob, part)
        except OSError:
            shutil.copyfile(blob, part)
    except OSError as fault:
        raise DiskFault(f"{part}: cannot be written ({fault.strerror or fault}).") from fault
    return _Arrival(spec.address, stated, cached[1])


def _check_hashes(spec: WeightSpec, part: Path, arrival: _Arrival, earlier: Record | None) -> Trust:
    """Who vouches for the bytes in `part`.

    Raises:
        WeightsFault: one of those who should does not.
    """
    actual = sha256_of(part)
    vouchers: list[tuple[Trust, str]] = [
        ("manifest", spec.sha256),
        ("hash in the name", spec.hash_prefix),
        ("Hub", arrival.stated_sha256),
    ]
    for trust, expected in vouchers:
        if expected and not matches(actual, expected):
            raise WeightsFault(
                f"{spec.name}: sha256 should be {expected} ({trust}), got {actual} from {arrival.source}; refused. "
                f"Try again, or another source with --mirror URL."
            )
    if earlier is not None and not spec.expected_hash and actual != earlier.source_sha256:
        raise WeightsFault(
            f"{spec.name}: sha256 was {earlier.source_sha256} at the first pull ({earlier.stored_at}), "
            f"got {actual} from {arrival.source}; refused. If its authors announced a new file: "
            f"selfhvd weights pull {spec.name} --again --accept-new"
        )
    return next((trust for trust, expected in vouchers if expected), "first pull")


def _store(spec: WeightSpec, part: Path, stored: Path, record: Record) -> Generator[PullReport, None, str]:
    """Make the checked bytes in `part` the store's file; gives what to say about it."""
    note = f"sha256 {record.source_sha256} vouched for by: {record.trust}"
    if record.trust == "first pull":
        note = f"no hash is published; {record.source_sha256} is remembered and later pulls must bring the same file"
    try:
        if spec.is_pickled:
            yield PullReport(spec.name, "converting")
            done = convert(part, stored, provenance(record, spec), spec.architecture)
            note = f"{done}; {note}"
        else:
            shapes = read_shapes(part)
            if spec.architecture:
                check_signature(part, spec.architecture, shapes)
            part.replace(stored)
    except WeightsFault:
        forget(part)
        raise
    # On a full disk or Ctrl-C the finished download stays for the next pull.
    forget(part)
    write_record(stored, replace(record, stored_sha256=sha256_of(stored)))
    return note


def provenance(record: Record, spec: WeightSpec | None = None) -> dict[str, str]:
    """Where a converted file came from, as text fields for its header."""
    fields = {
        "name": record.name,
        "source": record.source,
        "source_sha256": record.source_sha256,
        "revision": record.revision,
        "trust": record.trust,
        "license": spec.license if spec else "",
        "citation": spec.citation if spec else "",
        "trained_on": spec.trained_on if spec else "",
    }
    return {key: value for key, value in fields.items() if value}


def _from_file(path: Path) -> Iterator[PullReport]:
    """A user's own file: safetensors as it is, another checkpoint converted once into the store."""
    if path.suffix == ".safetensors":
        read_shapes(path)
        yield PullReport(path.name, "done", path=path)
        return
    digest = sha256_of(path)
    name = f"file-{digest[:16]}"
    stored = store_folder() / f"{name}.safetensors"
    with StoreLock(store_folder() / f"{name}.lock") as lock:
        while not lock.acquire():
            yield PullReport(name, "waiting", note="another process is converting it")
        earlier = read_record(stored)
        if earlier is None or stored_file(name) is None or sha256_of(stored) != earlier.stored_sha256:
            yield PullReport(name, "converting", note=path.name)
            record = Record(name, path.name, digest, path.stat().st_size, "", "import", stored_at=now())
            done = convert(path, stored, provenance(record))
            record = replace(record, stored_sha256=sha256_of(stored), architecture=done.architecture)
            write_record(stored, record)
            yield PullReport(name, "done", note=str(done), path=stored)
            return
    yield PullReport(name, "done", path=stored)
