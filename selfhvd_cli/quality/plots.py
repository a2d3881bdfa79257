"""Pictures of numbers: sharpness and metrics over time, and histograms, as PNG or SVG."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from selfhvd_cli.quality.names import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from selfhvd_cli.quality.metrics import Metric
    from selfhvd_cli.quality.report import ScoreReport

COLORS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#a16207", "#0e7490", "#be185d", "#404040")
"""Of the series in turn: distinguishable for colour-blind eyes in the first two, which nearly always are all."""

NEUTRAL = "#555555"
"""Of what a legend says for all of them."""

SHARPNESS = "sharpness (variance of the Laplacian)"

LONGEST_LABEL = 24
"""Letters of a video's name in a legend."""

WIDE, NARROW = 9.0, 5.6
"""Inches: of a picture by itself, and of one in a page."""

ANONYMOUS = 0.55
"""Opacity of the frames that were not chosen."""


@dataclass(frozen=True)
class Series:
    """Values of one clip over its time."""

    label: str
    times: Sequence[float]
    """Seconds."""

    values: Sequence[float]
    chosen: Sequence[int] = ()
    """Positions that get a dot: the chosen sharp frames."""

    threshold: float | None = None
    """Drawn as a dashed line."""


def plot_over_time(
    series: Sequence[Series], what: str, *, blurred: Iterable[tuple[float, float]] = (), better: str = ""
) -> Figure:
    """Curves over time.

    Args:
        series: one for each clip.
        what: the axis' name, with its unit.
        blurred: stretches in seconds to shade.
        better: what is better, such as `higher is better`.
    """
    figure, (axes,) = _figure(1, WIDE)
    for start, end in blurred:
        axes.axvspan(start, end, color="#fca5a5", alpha=0.35, lw=0)
    _curves(axes, series)
    axes.set_xlabel("seconds")
    _finish(axes, what, better)
    return figure


def plot_scores(report: ScoreReport, names: Sequence[str], sharp: Sequence[Series] = ()) -> Figure:
    """Every metric of a report over time, one below the other, in one figure.

    Args:
        names: of the videos, for the legend.
        sharp: sharpness of each video with its chosen frames and threshold; drawn in place of the metric's own
            curves, and as a histogram.
    """
    panels = list(_panels(report, names, sharp))
    figure, rows = _figure(len(panels), WIDE)
    for axes, draw in zip(rows, panels, strict=True):
        draw(axes)
    return figure


def plot_each_score(report: ScoreReport, names: Sequence[str], sharp: Sequence[Series] = ()) -> Iterator[Figure]:
    """The same as a figure for each, small enough that its words can be read on a phone."""
    for draw in _panels(report, names, sharp):
        figure, (axes,) = _figure(1, NARROW)
        draw(axes)
        yield figure


def plot_bytes(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """A figure as a file's content; the same numbers give the same bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "selfhvd"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=130, metadata=metadata)
    return buffer.getvalue()


def _panels(report: ScoreReport, names: Sequence[str], sharp: Sequence[Series]) -> Iterator[Callable[[Axes], None]]:
    if sharp:
        yield partial(_draw_sharpness, sharp)
        yield partial(_draw_histogram, sharp)
    metrics = {score.metric.name: score.metric for video in report.videos for score in video.scores}
    for metric in metrics.values():
        if metric.name != "sharpness" or not sharp:
            yield partial(_draw_metric, report, names, metric)


def _draw_sharpness(sharp: Sequence[Series], axes: Axes) -> None:
    _curves(axes, sharp)
    axes.set_xlabel("seconds")
    _finish(axes, SHARPNESS, "higher is better")


def _draw_histogram(series: Sequence[Series], axes: Axes) -> None:
    """How often each value occurs, the clips over one another."""
    values = [value for one in series for value in one.values]
    low, high = min(values), max(values)
    bins = max(5, min(40, round(len(values) ** 0.5) * 2))
    span = (low, high) if high > low else (low - 0.5, high + 0.5)
    for number, one in enumerate(series):
        color = COLORS[number % len(COLORS)]
        axes.hist(one.values, bins=bins, range=span, color=color, alpha=ANONYMOUS, label=_short(one.label))
        if one.threshold is not None:
            axes.axvline(one.threshold, color=color, ls="--", lw=0.9)
    axes.set_xlabel(SHARPNESS)
    _finish(axes, "frames", "", threshold=any(one.threshold is not None for one in series))


def _draw_metric(report: ScoreReport, names: Sequence[str], metric: Metric, axes: Axes) -> None:
    for number, (video, name) in enumerate(zip(report.videos, names, strict=True)):
        score = video.of(metric.name)
        if score is not None:
            times = [video.times[frame] for frame in score.frames]
            _curve(axes, Series(name, times, score.values), COLORS[number % len(COLORS)])
    better = "higher is better" if metric.higher_is_better else "lower is better"
    axes.set_xlabel("seconds")
    _finish(axes, metric.title + (f" ({metric.unit})" if metric.unit else ""), better)


def _figure(rows: int, width: float) -> tuple[Figure, Sequence[Axes]]:
    # Figure by itself, not through pyplot: no windows, no global state, no backend to choose.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False)
    return figure, [axes[row][0] for row in range(rows)]


def _curves(axes: Axes, series: Sequence[Series]) -> None:
    """Curves with their chosen frames and thresholds."""
    for number, one in enumerate(series):
        color = COLORS[number % len(COLORS)]
        _curve(axes, one, color)
        if one.chosen:
            dots = ([one.times[i] for i in one.chosen], [one.values[i] for i in one.chosen])
            axes.scatter(*dots, s=16, color=color, zorder=3)
        if one.threshold is not None:
            axes.axhline(one.threshold, color=color, ls="--", lw=0.9)
    if any(one.chosen for one in series):
        axes.scatter([], [], s=16, color=NEUTRAL, label="chosen sharp frames")
    if any(one.threshold is not None for one in series):
        axes.plot([], [], color=NEUTRAL, ls="--", lw=0.9, label="Otsu's threshold")


def _curve(axes: Axes, one: Series, color: str) -> None:
    alone = "o" if len(one.times) == 1 else ""
    axes.plot(one.times, one.values, color=color, lw=1.3, label=_short(one.label), marker=alone)


def _short(label: str) -> str:
    """The end of a long name: a legend wider than its plot leaves the curves no room."""
    label = label if len(label) <= LONGEST_LABEL else "…" + label[1 - LONGEST_LABEL :]
    # Matplotlib takes what is between two dollars for a formula, and leaves out what begins with an underscore.
    return readable(label).replace("$", r"\$").replace("_", "\u2060_", 1 if label.startswith("_") else 0)


def _finish(axes: Axes, what: str, better: str, threshold: bool = False) -> None:
    axes.set_ylabel(what)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    low, high = axes.get_ylim()
    if low > 0 and high - low > high / 3:  # 0 is worth showing where it costs less than two thirds of the height
        axes.set_ylim(bottom=0.0)
    if threshold:
        axes.plot([], [], color=NEUTRAL, ls="--", lw=0.9, label="Otsu's threshold")
    if better:
        axes.plot([], [], " ", label=f"({better})")
    if axes.get_legend_handles_labels()[1]:
        # Above the curves, where nothing can lie beneath it.
        axes.legend(
            fontsize=9, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, columnspacing=1.2,
            handlelength=1.4, borderaxespad=0.2,
        )  # fmt: skip
