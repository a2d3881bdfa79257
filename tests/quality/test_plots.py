"""Plots: curves where the values are, dots on the chosen frames, lines at the thresholds."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_clips import shaken, write_folder

from selfhvd_cli.quality.plots import Series, plot_bytes, plot_each_score, plot_over_time, plot_scores
from selfhvd_cli.score_video import score

SHARP = (
    Series("one", (0.0, 0.1, 0.2), (5.0, 1.0, 4.0), (0, 2), 2.5),
    Series("other", (0.0, 0.1, 0.2), (6.0, 3.0, 6.0), (0,), 4.5),
)


def test_sharpness_over_time_before_and_after() -> None:
    (axes,) = plot_over_time(SHARP, "sharpness", blurred=[(0.05, 0.15)]).axes
    curves = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [list(line.get_ydata()) for line in curves] == [[5, 1, 4], [6, 3, 6]]
    dashed = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "--"]
    assert [heights[0] for heights in dashed if len(heights)] == [2.5, 4.5]
    dots = [[tuple(point) for point in dots.get_offsets()] for dots in axes.collections]
    assert dots[:2] == [[(0.0, 5.0), (0.2, 4.0)], [(0.0, 6.0)]]
    assert {"one", "other", "Otsu's threshold", "chosen sharp frames"} == set(axes.get_legend_handles_labels()[1])


def test_a_plot_of_scores_has_sharpness_histogram_and_every_metric(tmp_path: Path) -> None:
    clips = [write_folder(tmp_path / name, shaken(blurs)) for name, blurs in (("a", [0, 1, 2]), ("b", [0, 0, 0]))]
    report = score(clips, metrics="sharpness,blur,shift")
    titles = [axes.get_ylabel() for axes in plot_scores(report, ("a", "b"), SHARP).axes]
    assert titles == ["sharpness (variance of the Laplacian)", "frames", "blur effect", "shift (px)"]
    assert plot_scores(report, ("a", "b")).axes[0].get_ylabel() == "sharpness"
    assert len(list(plot_each_score(report, ("a", "b"), SHARP))) == 4


def test_names_are_shown_as_they_are() -> None:
    odd = Series(r"_no $\formula$.mp4", (0.0, 0.1), (1.0, 2.0))
    assert b"_no $\\formula$.mp4" in plot_bytes(plot_over_time([odd], "sharpness"), "svg")


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_numbers_give_the_same_file(kind: str) -> None:
    once, again = (plot_bytes(plot_over_time(SHARP, "sharpness"), kind) for _ in range(2))  # type: ignore[arg-type]
    assert once == again
    assert b"Otsu" in once or kind == "png"
