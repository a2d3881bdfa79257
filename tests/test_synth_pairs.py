"""Synth: pairs on disk that belong together, from photographs and from video."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.synth_pairs import SynthReport, synth


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    coarse = rng.uniform(0, 255, (30, 40, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), picture)
    return path


def test_photographs_become_pairs_with_flow(photo: Path, tmp_path: Path) -> None:
    seen: list[SynthReport] = []
    made = synth(
        str(photo), str(tmp_path / "out"), clips=2, frames=4, size=(64, 96), severity=5.0, on_progress=seen.append
    )
    assert [(clip.folder, clip.frames) for clip in made] == [(tmp_path / "out" / f"clip_00{n}", 4) for n in (0, 1)]
    assert [clip.sharp for clip in made] == [sum(r.sharp for r in seen if r.clip == c.folder.name) for c in made]
    folder = tmp_path / "out" / "clip_001"
    facts = json.loads((folder / "clip.json").read_text())
    assert len(facts["blur_length_px"]) == 4
    assert facts["sharp"] == [length <= 1.5 for length in facts["blur_length_px"]]
    assert cv2.imread(str(folder / "blurry" / "000003.png")).shape == (64, 96, 3)
    assert np.load(folder / "flow" / "000000.npz")["flow"].shape == (64, 96, 2)
    assert not list(tmp_path.rglob("*.part"))


def test_numbered_frames_become_gopro_shake(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    wide = cv2.resize(rng.uniform(0, 255, (20, 60, 3)).astype(np.float32), (300, 80), interpolation=cv2.INTER_CUBIC)
    source = tmp_path / "frames"
    source.mkdir()
    for number in range(22):
        left = max(0, number - 11) * 3
        cv2.imwrite(str(source / f"{number:04d}.png"), wide[:, left : left + 96])
    synth(source, tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "frames" / "clip.json").read_text())
    assert facts["averaged_frames"][0] == 1
    assert facts["averaged_frames"][1] > 1


def test_a_video_too_short_leaves_no_empty_folder(pictures: list[np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="too few frames"):
        made_from(pictures[:5], [f"{number}.png" for number in range(5)], tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """Twelve of one size, as a camera that moves by three columns each."""
    coarse = np.random.default_rng(2).uniform(0, 255, (20, 40, 3)).astype(np.float32)
    wide = cv2.resize(coarse, (160, 80), interpolation=cv2.INTER_CUBIC)
    return [wide[:, 3 * number : 3 * number + 96] for number in range(12)]


def made_from(pictures: list[np.ndarray], names: list[str], folder: Path) -> str:
    """`clip_000` where the pictures were taken for photographs, else the whole name of the folder."""
    source = folder / "source.v2"
    source.mkdir()
    for name, picture in zip(names, pictures, strict=True):
        cv2.imwrite(str(source / name), picture)
    synth(source, folder / "out")
    return next((folder / "out").iterdir()).name


@pytest.mark.parametrize("naming", ["{:03d}.png", "frame_{:04d}.jpg", "IMG{}_sharp.png"])
def test_pictures_numbered_alike_are_a_video(naming: str, pictures: list[np.ndarray], tmp_path: Path) -> None:
    assert made_from(pictures, [naming.format(number) for number in range(12)], tmp_path) == "source.v2"


def test_other_pictures_in_a_folder_are_photographs(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfhvd_cli.synth_pairs.FRAMES", 2)
    monkeypatch.setattr("selfhvd_cli.synth_pairs.SIZE", (64, 64))
    numbered = [f"IMG_{number:04d}.png" for number in range(12)]
    of_another_size = [*pictures[:-1], pictures[-1][:70]]
    albums = {
        "alone": (pictures[:1], ["IMG_0001.png"]),
        "named": (pictures, [f"holiday_{letter}.png" for letter in "abcdefghijkl"]),
        "several names": (pictures, [*numbered[:-1], "sunset_0011.png"]),
        "gaps": (pictures, [*numbered[:5], *(f"IMG_{number:04d}.png" for number in range(50, 57))]),
        "sizes": (of_another_size, numbered),
    }
    for kind, (found, names) in albums.items():
        (tmp_path / kind).mkdir()
        assert made_from(found, names, tmp_path / kind) == "clip_000", kind


@pytest.mark.parametrize(
    "options",
    [{"size": (64, 64)}, {"frames": 4}, {"clips": 2}, {"severity": 3.0}, {"night": False}, {"flow": True},
     {"motion": Path("log.txt")}],
)  # fmt: skip
def test_a_video_is_not_asked_for_what_only_photographs_can_give(
    options: dict[str, object], pictures: list[np.ndarray], tmp_path: Path
) -> None:
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    name = "--noise" if "night" in options else f"--{next(iter(options))}"
    with pytest.raises(UsageFault, match=f"^{name}: "):
        synth(tmp_path, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_the_command_does_not_ask_a_video_by_its_own_defaults(pictures: list[np.ndarray], tmp_path: Path) -> None:
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    words = ["synth", str(tmp_path), "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(selfhvd, [*words, "--frames", "30"]).exit_code == 2
    result = CliRunner().invoke(selfhvd, [*words, "--no-flow"])
    assert result.exit_code == 0, result.output


def test_what_exists_is_not_overwritten(photo: Path, tmp_path: Path) -> None:
    synth(photo, tmp_path / "out", frames=2, size=(64, 64))
    with pytest.raises(UsageFault, match="--overwrite"):
        synth(photo, tmp_path / "out", frames=2, size=(64, 64))
    assert synth(photo, tmp_path / "out", frames=3, size=(64, 64), overwrite=True)[0].frames == 3


@pytest.mark.parametrize("where", [".", "frames/..", "link"])
def test_a_clip_never_replaces_the_frames_it_is_made_from(
    where: str, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    source = tmp_path / "frames"
    source.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(source / f"{number}.png"), picture)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageFault, match="made from"):
        synth(source, tmp_path / where, overwrite=True)
    assert len(list(source.iterdir())) == 12


def test_the_folder_one_is_in_has_a_name(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    (tmp_path / "below").mkdir()
    for inside, source in ((tmp_path, "."), (tmp_path / "below", "..")):
        monkeypatch.chdir(inside)
        synth(Path(source), tmp_path / "out", overwrite=True)
        assert [path.name for path in (tmp_path / "out").iterdir()] == [tmp_path.name]


def test_clips_neither_replace_nor_join_the_photographs(photo: Path, tmp_path: Path) -> None:
    album = tmp_path / "clip_000" / "album"
    album.mkdir(parents=True)
    photo.rename(album / "photo.png")
    for target in (tmp_path, album, album / "pairs"):
        with pytest.raises(UsageFault, match="choose another folder"):
            synth(album, target, frames=2, size=(64, 64), overwrite=True)
    assert [path.name for path in album.iterdir()] == ["photo.png"]


@pytest.mark.parametrize("name", ["clip_000", "clip_000.part"])
def test_a_folder_that_is_no_clip_is_not_replaced(name: str, photo: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out" / name / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("work of years")
    with pytest.raises(UsageFault, match="no clip"):
        synth(photo, tmp_path / "out", frames=2, size=(64, 64), overwrite=True)
    assert mine.read_text() == "work of years"


def test_nothing_to_make_pairs_from(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="no such"):
        synth(tmp_path / "missing", tmp_path / "out")


def test_the_command_says_what_it_made(photo: Path, tmp_path: Path) -> None:
    arguments = ["synth", str(photo), "-o", str(tmp_path / "o"), "--frames", "3", "--size", "96x64", "--json"]
    result = CliRunner().invoke(selfhvd, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["frames"] == 3
    assert CliRunner().invoke(selfhvd, ["synth", str(photo), "-o", "x", "--size", "big"]).exit_code == 2
