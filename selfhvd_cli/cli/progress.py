"""Draws the reports of long work: a live bar, plain lines, JSON lines or nothing."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol

import click

from selfhvd_cli.cli.console import Console
from selfhvd_cli.deblurring.speed import Speed

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

PLAIN_INTERVAL = 10.0
"""Seconds between plain lines: rare enough for a log file, often enough to show that the run is alive."""


@dataclass(frozen=True)
class State:
    """How far the work is."""

    phase: str
    """What is being done, in one word such as `deblur`."""

    done: int
    """Units finished."""

    total: int | None = None
    """Units in all; None where that is not known."""

    rate: float | None = None
    """Units a second, measured."""

    seconds_left: float | None = None
    """Until the end; None while nothing was measured."""

    unit: str = "frames"
    """What is counted."""

    note: str = ""
    """Anything else worth a look, such as the loss."""

    def __str__(self) -> str:
        parts = [f"{self.done}/{self.total} {self.unit}" if self.total is not None else f"{self.done} {self.unit}"]
        if self.rate:
            parts.append(f"{self.rate:.3g} {self.unit}/s")
        if self.total is None or self.done < self.total:
            parts.append(clock(self.seconds_left))
        if self.note:
            parts.append(self.note)
        return ", ".join(parts)


class Pace:
    """Measures how fast each phase goes, for work whose reports only count."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._speed = Speed()

    def state(self, phase: str, done: int, total: int | None, unit: str = "frames") -> State:
        """The state of the work, its rate measured since the phase began."""
        if phase != self._phase:
            self._phase, self._speed = phase, Speed()
        self._speed.reach(done, time.monotonic())
        return State(phase, done, total, self._speed.rate, self._speed.seconds_left(done, total), unit)


class ProgressDisplay(Protocol):
    """Takes the state of the work as often as there is one; decides itself what is worth showing."""

    def show(self, state: State) -> None: ...


@contextmanager
def progress_display(console: Console, title: str) -> Iterator[ProgressDisplay]:
    """The display that `--progress` asks for; leaving it leaves the terminal clean."""
    with progress_displays(console) as add, add(title) as display:
        yield display


@contextmanager
def paced_display(console: Console, title: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """The same for work that only counts: to be called with the phase, what is done and what there is in all."""
    pace = Pace()
    with progress_display(console, title) as display:
        yield lambda phase, done, total: display.show(pace.state(phase, done, total))


@contextmanager
def progress_displays(console: Console) -> Iterator[Callable[[str], AbstractContextManager[ProgressDisplay]]]:
    """What adds one display after the other, for several pieces of work at the same time."""
    style = console.progress_style
    if style == "rich":
        with _rich_bars(console) as bars:
            yield partial(_bar, bars)
    elif style == "plain":
        yield lambda title: nullcontext(_PlainLines(console, title))
    elif style == "json":
        yield lambda title: nullcontext(_JsonLines(title))
    else:
        yield lambda title: nullcontext(_Silence())


def clock(seconds_left: float | None) -> str:
    """`3:20 left, done at 23:42`, or `measuring` while nothing is known."""
    if seconds_left is None or not math.isfinite(seconds_left):
        return "measuring"
    finish = datetime.now() + timedelta(seconds=seconds_left)
    day = "" if finish.date() == datetime.now().date() else finish.strftime("%a ")
    return f"{length(seconds_left)} left, done at {day}{finish.strftime('%H:%M')}"


def length(seconds: float) -> str:
    """`4.2 s`, `3:20` or `1:03:20`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def size(amount: float) -> str:
    """A number of bytes as `812 B`, `4.1 MB` or `2.0 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def _rich_bars(console: Console) -> Bars:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[phase]} {task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", style="dim", markup=False),
        console=console.terminal,
        transient=True,
    )


@contextmanager
def _bar(bars: Bars, title: str) -> Iterator[ProgressDisplay]:
    task = bars.add_task(title, total=None, phase="", state="")
    yield _Bar(bars, task)
    bars.remove_task(task)


class _Bar:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def show(self, state: State) -> None:
        self._bars.update(self._task, completed=state.done, total=state.total, phase=state.phase, state=str(state))


class _PlainLines:
    """A line at the start of a phase, every `PLAIN_INTERVAL` seconds, and at its end."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._phase = ""
        self._said = -math.inf
        self._finished = False

    def show(self, state: State) -> None:
        finished = state.total is not None and state.done >= state.total
        ends = finished and not self._finished
        if state.phase == self._phase and not ends and time.monotonic() - self._said < PLAIN_INTERVAL:
            return
        self._phase, self._finished, self._said = state.phase, finished, time.monotonic()
        share = f" ({state.done / state.total:.0%})" if state.total else ""
        self._console.say(f"{self._title}: {state.phase}{share}: {state}")


class _JsonLines:
    """One JSON object a line on stderr for every report, for programs that watch; ASCII, as `Console.data` is."""

    def __init__(self, title: str) -> None:
        self._title = title

    def show(self, state: State) -> None:
        click.echo(json.dumps({"title": self._title, **asdict(state)}), err=True)


class _Silence:
    def show(self, state: State) -> None:
        return
