"""Rotation logs of real phones as camera trajectories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selfhvd_cli.errors import InputFault
from selfhvd_cli.synthesis.clips import draw_clip
from selfhvd_cli.synthesis.recorded_shake import read_rotation_log


def write_log(path: Path, seconds: float, rate: float, amplitude: float = 0.05) -> Path:
    """A phone that swings around its y axis twice a second."""
    lines = ["1428589683735", "3.97"]
    for number in range(int(seconds * rate)):
        time = number / rate
        angle = amplitude * np.sin(2 * np.pi * 2.0 * time)
        c, s = np.cos(angle), np.sin(angle)
        lines.append(f"{1000 + int(time * 1e3)}, {int(time * 1e9)}, [{c}, 0.0, {s}, 0.0, 1.0, 0.0, {-s}, 0.0, {c}]")
    path.write_text("\n".join(lines))
    return path


def test_a_swing_around_the_vertical_axis_moves_the_picture_sideways_only(tmp_path: Path) -> None:
    log = read_rotation_log(write_log(tmp_path / "swing.txt", 4.0, 200.0))
    assert np.abs(log.velocity[:, 1]).max() == pytest.approx(0.05 * 2 * np.pi * 2.0, rel=0.02)
    photo = np.random.default_rng(0).integers(0, 255, (200, 240, 3), dtype=np.uint8)
    clip = draw_clip([photo], (64, 96), 20, 5, severity=6.0, things=0, motion=log)
    poses = clip.renderer.trajectory.poses
    assert np.ptp(poses[:, 0]) > 5.0
    assert np.abs(poses[:, 1:]).max() < 1e-6
    assert np.quantile(clip.extents(), 0.9) == pytest.approx(6.0, rel=0.05)


def test_recorded_hands_leave_sharp_moments(shared: Path) -> None:
    log = read_rotation_log(shared / "media" / "blurry" / "gyro_VID_20150409_162941.txt")
    photo = np.random.default_rng(0).integers(0, 255, (200, 240, 3), dtype=np.uint8)
    extents = np.array(draw_clip([photo], (64, 96), 60, 1, severity=8.0, things=0, motion=log).extents())
    assert (extents < 2.5).mean() > 0.1
    assert (extents > 5.0).mean() > 0.1


@pytest.mark.parametrize(
    ("seconds", "rate", "said"),
    [(0.5, 200.0, "at least a second"), (4.0, 5.0, "50 a second"), (0.0, 1.0, "0 rotations")],
)
def test_a_log_that_says_too_little_is_refused(tmp_path: Path, seconds: float, rate: float, said: str) -> None:
    with pytest.raises(InputFault, match=said):
        read_rotation_log(write_log(tmp_path / "short.txt", seconds, rate))


@pytest.mark.parametrize("matrix", ["1,0,0,0,1,0,0,0,x", "1,0,0,0,1,0,0,0", "1,0,0,0,1,0,0,0,nan", ""])
def test_a_line_that_is_no_matrix_is_shown(matrix: str, tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.txt", 2.0, 100.0)
    path.write_text(f"{path.read_text()}\n1, 1000000000, [{matrix}]\n")
    with pytest.raises(InputFault, match=r"9 numbers a line, got \["):
        read_rotation_log(path)
