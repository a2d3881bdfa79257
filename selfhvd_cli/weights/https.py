"""A file from an http(s) address into `part`, continued where an earlier try or process stopped."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from selfhvd_cli.errors import DiskFault, WeightsFault
from selfhvd_cli.weights.patience import Patience
from selfhvd_cli.weights.redact import redact, redact_url
from selfhvd_cli.weights.web import Passing, Refused, open_address, pause_after

SIZE_LIMIT = 4 << 30
"""Bytes beyond which nothing is a file of weights; the largest known has 0.6 GB."""

BLOCK = 1 << 18
"""Bytes read and reported at a time."""


@dataclass(frozen=True)
class Download:
    """What to fetch."""

    url: str
    """Address, a login allowed."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent along, such as the Hub's Authorization."""

    size: int = 0
    """Bytes it must have; 0 where unknown."""

    size_limit: int = SIZE_LIMIT
    """Bytes it may have at most."""


@dataclass(frozen=True)
class Transfer:
    """How far a download is."""

    done: int
    """Bytes in the part file."""

    total: int | None
    """Bytes in all, where known."""

    trouble: str = ""
    """Why there is a pause and how long; empty while bytes come."""


@dataclass(frozen=True)
class _Trace:
    """Beside the part file: which version of which file its bytes are of."""

    url: str
    etag: str
    modified: str
    total: int | None

    @property
    def validator(self) -> str:
        """What `If-Range` may carry: a strong ETag, else the date; empty if a resumed file could be a mixture."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


def download(wanted: Download, part: Path, patience: Patience) -> Iterator[Transfer]:
    """Fetch into `part`; on a fault the bytes so far stay there for the next call.

    Raises:
        WeightsFault: refused by the server, too big, of the wrong size, or no patience left.
        DiskFault: `part` cannot be written.
    """
    failures = 0
    while True:
        before = _size_of(part)
        try:
            yield from _attempt(wanted, part, patience)
            return
        except Passing as trouble:
            grown = _size_of(part) > before
            failures = 1 if grown else failures + 1
            wait = pause_after(trouble, failures, patience)
            yield Transfer(_size_of(part), None, f"{trouble}; next try in {wait:.0f} s")
            time.sleep(wait)


def forget(part: Path) -> None:
    """Remove a part file and its trace."""
    part.unlink(missing_ok=True)
    _trace_path(part).unlink(missing_ok=True)


def _attempt(wanted: Download, part: Path, patience: Patience) -> Iterator[Transfer]:
    """One connection, from the bytes that are here to the end of the file."""
    start, trace = _resumable(wanted, part)
    headers = dict(wanted.headers)
    if start and trace is not None:
        if start == trace.total:
            return
        headers |= {"Range": f"bytes={start}-", "If-Range": trace.validator}
    try:
        answer = open_address(wanted.url, headers, patience.silence)
    except Refused as fault:
        if not start or fault.status != 416:
            raise
        forget(part)
        raise Passing(f"{redact_url(wanted.url)}: the file there is shorter now") from None
    with answer:
        try:
            start, total = _where(answer, start, trace, wanted)
        except Passing:
            forget(part)
            raise
        _check_size(wanted, total, part, start)
        with _opened(part, start) as stream:
            _remember(wanted, part, answer, total)
            for done in _blocks(answer, stream, start, wanted):
                yield Transfer(done, total)
    arrived = _size_of(part)
    if total is not None and arrived < total:
        raise Passing(f"{redact_url(wanted.url)}: the connection ended at {arrived} of {total} bytes")
    if wanted.size and arrived != wanted.size:
        forget(part)
        raise WeightsFault(f"{redact_url(wanted.url)}: should have {wanted.size} bytes, got {arrived}.")


def _blocks(answer: http.client.HTTPResponse, stream: BinaryIO, start: int, wanted: Download) -> Iterator[int]:
    done = start
    while True:
        try:
            block = answer.read1(BLOCK)  # what has arrived, so that a broken connection loses nothing
        except (OSError, http.client.HTTPException) as fault:
            reason = redact(fault) or type(fault).__name__
            raise Passing(f"{redact_url(wanted.url)}: the connection broke at {done} bytes ({reason})") from None
        if not block:
            return
        done += len(block)
        if done > (wanted.size or wanted.size_limit):
            limit = wanted.size or wanted.size_limit
            raise WeightsFault(f"{redact_url(wanted.url)}: sends more than {limit} bytes; refused.")
        try:
            stream.write(block)
            stream.flush()
        except OSError as fault:
            raise _disk_fault(Path(stream.name), fault) from fault
        yield done


def _where(
    answer: http.client.HTTPResponse, start: int, trace: _Trace | None, wanted: Download
) -> tuple[int, int | None]:
    """From which byte on the answer goes, and how many the whole file has."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise WeightsFault(f"{redact_url(wanted.url)}: the server compresses the file though asked not to; refused.")
    if answer.headers.get_content_type() == "text/html":
        raise WeightsFault(
            f"{redact_url(wanted.url)}: answers with a web page instead of the file; is there a login page between?"
        )
    if answer.status != 206:
        length = answer.headers.get("Content-Length")
        return 0, int(length) if length and length.isdigit() else None
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
    same = trace is not None and answer.headers.get("ETag", trace.etag) == trace.etag
    if match is None or int(match[1]) != start or not same:
        raise Passing(f"{redact_url(wanted.url)}: answers with another part than asked for")
    return start, int(match[3])


def _check_size(wanted: Download, total: int | None, part: Path, start: int) -> None:
    if total is None:
        return
    if wanted.size and total != wanted.size:
        raise WeightsFault(
            f"{redact_url(wanted.url)}: should have {wanted.size} bytes, the server offers {total}; "
            f"it is not the published file."
        )
    if total > wanted.size_limit:
        raise WeightsFault(
            f"{redact_url(wanted.url)}: {total} bytes, more than the {wanted.size_limit} allowed; refused."
        )
    free = shutil.disk_usage(part.parent).free
    if free < total - start:
        raise DiskFault(
            f"{part.parent}: {total - start} bytes are needed, {free} are free; free some space or choose another "
            f"folder: SELFHVD_WEIGHTS_DIR=FOLDER"
        )


def _resumable(wanted: Download, part: Path) -> tuple[int, _Trace | None]:
    """How many bytes of this very file are here, and what they are of; a part of anything else starts over."""
    try:
        trace = _Trace(**json.loads(_trace_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return 0, None
    return (_size_of(part), trace) if trace.url == _identity(wanted.url) and trace.validator else (0, None)


def _remember(wanted: Download, part: Path, answer: http.client.HTTPResponse, total: int | None) -> None:
    headers = answer.headers
    trace = _Trace(_identity(wanted.url), headers.get("ETag", ""), headers.get("Last-Modified", ""), total)
    try:
        _trace_path(part).write_text(json.dumps(asdict(trace)), encoding="utf-8")
    except OSError as fault:
        raise _disk_fault(part, fault) from fault


def _identity(url: str) -> str:
    """The address with its secrets hashed away: what tells one download from another in a readable file."""
    return f"{redact_url(url)}#{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _opened(part: Path, start: int) -> BinaryIO:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        if not start:
            # It may be a second name of a file in huggingface_hub's cache, from a pull that was stopped.
            part.unlink(missing_ok=True)
        stream = part.open("r+b" if start else "wb")
        stream.truncate(start)
        stream.seek(start)
        return stream
    except OSError as fault:
        raise _disk_fault(part, fault) from fault


def _disk_fault(part: Path, fault: OSError) -> DiskFault:
    reason = "the disk is full" if fault.errno == errno.ENOSPC else str(fault.strerror or fault)
    return DiskFault(
        f"{part}: cannot be written ({reason}); free some space or choose another folder: SELFHVD_WEIGHTS_DIR=FOLDER"
    )


def _trace_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
