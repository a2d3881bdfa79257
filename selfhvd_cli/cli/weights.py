"""`selfhvd weights`: which weights there are, and getting, checking, naming and removing them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, dry_run_option, offline_option, option, output_options, overwrite_option
from selfhvd_cli.cli.progress import State, progress_display, size
from selfhvd_cli.errors import BatchFault, UsageFault, WeightsFault

if TYPE_CHECKING:
    from selfhvd_cli.weights.report import PullReport

mirror_option = option(
    "--mirror", metavar="URL",
    help="Fetch from here instead: another Hub for Hub entries, a folder with the files for the others.",
)  # fmt: skip


@click.group()
def weights() -> None:
    """List, fetch and check the networks' weights.

    Wherever weights are named, that is a name of the list, a file, or hf://owner/repo/file[@revision].
    """


weights.command_class = Command


@weights.command("list")
@output_options
@pass_console
def list_command(console: Console) -> None:
    """Show every known entry, your own weights, and what is on this machine."""
    from selfhvd_cli.weights.inventory import list_items

    items = list(list_items())
    if console.json:
        console.data({"weights": items})
        return
    rows = [
        (
            item.name,
            item.kind,
            item.architecture or "-",
            item.state,
            size(item.size) if item.size else "-",
            item.license or "-",
        )
        for item in items
    ]
    console.table(("name", "kind", "architecture", "state", "size", "licence"), rows)


@weights.command("pull")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="Every entry that can be fetched.")
@click.option("--again", is_flag=True, help="Fetch also what is here, such as a damaged file.")
@click.option("--accept-new", is_flag=True, help="Where no hash is published: take another file than before.")
@mirror_option
@offline_option
@output_options
@pass_console
def pull_command(
    console: Console,
    names: tuple[str, ...],
    everything: bool,
    again: bool,
    accept_new: bool,
    mirror: str | None,
    offline: bool,
) -> None:
    """Fetch weights, check them, and keep them as safetensors; an interrupted pull continues."""
    from selfhvd_cli.weights.pull import pull

    wanted = [*names, *(_fetchable() if everything else ())]
    if not wanted:
        raise UsageFault("name at least one entry, or --all; selfhvd weights list shows the names.")
    pulled, failed = [], []
    for name in wanted:
        reports = pull(name, offline=offline, mirror=mirror, again=again, accept_new=accept_new)
        try:
            last = _draw(console, name, reports)
        except WeightsFault as fault:
            if len(wanted) == 1:
                raise
            console.warn(fault.format_message())
            failed.append({"name": name, "message": fault.format_message()})
            continue
        console.say(f"{name}: {last.path}" + (f" ({last.note})" if last.note else ""))
        pulled.append({"name": name, "path": last.path, "note": last.note})
    if console.json:
        console.data({"pulled": pulled, "failed": failed})
    if failed:
        kind = BatchFault if pulled else WeightsFault
        raise kind(f"{len(failed)} of {len(wanted)} not fetched: {', '.join(item['name'] for item in failed)}.")


@weights.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_options
@pass_console
def verify_command(console: Console, names: tuple[str, ...]) -> None:
    """Hash what is here (or only NAME...) and compare; ends with code 5 if anything is wrong."""
    from selfhvd_cli.weights.inventory import list_items, verify_item

    items = {item.name: item for item in list_items()}
    for name in names:
        if name not in items:
            raise WeightsFault(f"{name}: no such weights; selfhvd weights list shows all names.")
    chosen = [items[name] for name in names] or [
        item for item in items.values() if item.path is not None or item.state == "missing"
    ]
    checked = [verify_item(item) for item in chosen]
    bad = [item for item in checked if item.state != "ok"]
    if console.json:
        console.data({"weights": checked, "ok": not bad})
    else:
        console.table(("name", "state", "file"), [(item.name, item.state, item.path or "-") for item in checked])
    if bad:
        reasons = " ".join(item.message for item in bad)
        raise WeightsFault(f"{len(bad)} of {len(checked)} are not as they should be. {reasons}")


@weights.command("path")
@click.argument("name")
@output_options
@pass_console
def path_command(console: Console, name: str) -> None:
    """Print where the file of NAME is, for scripts; fetches nothing."""
    from selfhvd_cli.weights.find import find
    from selfhvd_cli.weights.reference import parse_reference

    target = parse_reference(name)
    path = target if isinstance(target, Path) else find(target)
    if path is None:
        raise WeightsFault(f"{name}: not on this machine; selfhvd weights pull {name}")
    if console.json:
        console.data({"name": name, "path": path})
    else:
        click.echo(path)


@weights.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What to call them; default: the entry they belong to, or the file's stem.")
@click.option("--architecture", help="The network they must fit; default: what their keys look like.")
@overwrite_option
@output_options
@pass_console
def import_command(console: Console, file: Path, name: str | None, architecture: str | None, overwrite: bool) -> None:
    """Bring in a checkpoint you have, such as one from a Drive link; FILE itself is left as it is."""
    from selfhvd_cli.weights.bring import bring_in

    path, record, conversion = bring_in(file, name or "", architecture or "", overwrite)
    console.say(f"{record.name}: {conversion}")
    if record.trust == "import":
        console.say(f"No hash is published for it; sha256 {record.source_sha256} is remembered.")
    console.say(f"{path}")
    if conversion.architecture:
        console.say(f"Use it with: --weights {record.name}")
    if console.json:
        console.data({"path": path, **asdict(record), "conversion": conversion})


@weights.command("prune")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Everything that can be fetched again.")
@dry_run_option
@output_options
@pass_console
def prune_command(console: Console, names: tuple[str, ...], everything: bool, dry_run: bool) -> None:
    """Free space: unfinished and converted leftovers, and NAME... if given.

    Weights that you imported or trained are never removed.
    """
    from selfhvd_cli.weights.inventory import list_items
    from selfhvd_cli.weights.locate import store_folder
    from selfhvd_cli.weights.prune import prune

    known = {item.name: item for item in list_items()}
    for name in names:
        path = known[name].path if name in known else None
        if path is None or store_folder() not in path.parents:
            raise WeightsFault(f"{name}: nothing the store could free; selfhvd weights list shows what is here.")
    removed = list(prune(names, everything, dry_run))
    freed = sum(removal.size for removal in removed)
    for removal in removed:
        console.say(f"{removal.path} ({size(removal.size)}, {removal.reason})")
    console.say(f"{size(freed)} {'would be freed' if dry_run else 'freed'}.")
    if console.json:
        console.data({"removed": removed, "bytes": freed, "dry_run": dry_run})


def _fetchable() -> Iterable[str]:
    from selfhvd_cli.weights.spec import manifest

    return [name for name, spec in manifest().items() if spec.source in ("https", "hub")]


def _draw(console: Console, name: str, reports: Iterable[PullReport]) -> PullReport:
    """Show a pull's reports as they come; gives the last one."""
    last = None
    start: tuple[float, int] | None = None
    with progress_display(console, name) as display:
        for report in reports:
            if report.phase == "downloading" and start is None:
                start = (time.monotonic(), report.done)
            state = State(report.phase, report.done, report.total, unit="bytes", note=report.note)
            if start is not None and (elapsed := time.monotonic() - start[0]) > 1 and report.phase == "downloading":
                rate = (report.done - start[1]) / elapsed
                left = (report.total - report.done) / rate if report.total and rate else None
                state = replace(state, rate=rate, seconds_left=left)
            if report.phase != "done":
                display.show(state)
            last = report
    assert last is not None, "a pull ends with a report or a fault"
    return last
