"""Which clips the inputs mean, and where each result goes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from selfhvd_cli.cli.batch import Pair, plan_batch, remove_empty, without_existing
from selfhvd_cli.errors import DiskFault, InputFault, UsageFault


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def targets(pairs: tuple[Pair, ...], root: Path) -> dict[str, str]:
    """Source → target, relative to a folder."""
    return {pair.source.relative_to(root).as_posix(): pair.target.relative_to(root).as_posix() for pair in pairs}


def test_a_folder_of_clips_keeps_its_subfolders(tmp_path: Path) -> None:
    touch(
        tmp_path / "dcim/b/one.mp4",
        tmp_path / "dcim/a/one.mp4",
        tmp_path / "dcim/two.MOV",
        tmp_path / "dcim/notes.txt",
        tmp_path / "dcim/photo.jpg",
        tmp_path / "dcim/._two.MOV",
        tmp_path / "dcim/.trash/gone.mp4",
        tmp_path / "dcim/a/frames/0001.png",
        tmp_path / "dcim/a/frames/0002.png",
    )
    batch = plan_batch([tmp_path / "dcim"], None)
    assert targets(batch.pairs, tmp_path) == {
        "dcim/two.MOV": "dcim_deblurred/two.MOV",
        "dcim/a/frames": "dcim_deblurred/a/frames",
        "dcim/a/one.mp4": "dcim_deblurred/a/one.mp4",
        "dcim/b/one.mp4": "dcim_deblurred/b/one.mp4",
    }
    elsewhere = plan_batch([tmp_path / "dcim"], f"{tmp_path}/new/")
    assert {pair.target for pair in elsewhere.pairs} >= {tmp_path / "new/a/one.mp4", tmp_path / "new/b/one.mp4"}


def test_results_are_never_taken_as_inputs(tmp_path: Path) -> None:
    touch(tmp_path / "c/one.mp4", tmp_path / "c/one_deblurred.mp4", tmp_path / "c/frames_deblurred/1.png")
    batch = plan_batch([tmp_path / "c"], None)
    assert [pair.source.name for pair in batch.pairs] == ["one.mp4"]
    assert {path.name for path in batch.skipped} == {"one_deblurred.mp4", "frames_deblurred"}

    globbed = plan_batch([tmp_path / "c/one.mp4", tmp_path / "c/one_deblurred.mp4"], None)
    assert [pair.source.name for pair in globbed.pairs] == ["one.mp4"]


def test_tastes_are_no_inputs_either_where_their_clip_is(tmp_path: Path) -> None:
    touch(tmp_path / "c/one.MOV", tmp_path / "c/one_taste.mp4", tmp_path / "c/wine_taste.mp4")
    for inputs in ([tmp_path / "c"], sorted((tmp_path / "c").iterdir())):
        batch = plan_batch(inputs, None)
        assert {pair.source.name for pair in batch.pairs} == {"one.MOV", "wine_taste.mp4"}
        assert [path.name for path in batch.skipped] == ["one_taste.mp4"]
    alone = plan_batch([tmp_path / "c/one_taste.mp4"], None)
    assert [pair.target.name for pair in alone.pairs] == ["one_taste_deblurred.mp4"]


def test_a_result_that_is_named_alone_needs_an_output_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path / "one_deblurred.mp4")
    with pytest.raises(UsageFault, match="-o"):
        plan_batch([tmp_path / "one_deblurred.mp4"], None)
    batch = plan_batch([tmp_path / "one_deblurred.mp4"], str(tmp_path / "two.mp4"))
    assert [pair.target.name for pair in batch.pairs] == ["two.mp4"]


def test_an_output_is_a_folder_if_it_exists_or_ends_in_a_slash(tmp_path: Path) -> None:
    touch(tmp_path / "one.mp4")
    (tmp_path / "there").mkdir()
    for output in (f"{tmp_path}/there", f"{tmp_path}/new/"):
        assert plan_batch([tmp_path / "one.mp4"], output).pairs[0].target == Path(output) / "one_deblurred.mp4"
    assert plan_batch([tmp_path / "one.mp4"], f"{tmp_path}/frames").pairs[0].target == tmp_path / "frames"


def test_a_frames_folder_is_one_clip_even_with_a_slash(tmp_path: Path) -> None:
    touch(tmp_path / "frames/0001.png", tmp_path / "frames/0002.png")
    batch = plan_batch([Path(f"{tmp_path}/frames/")], None)
    assert targets(batch.pairs, tmp_path) == {"frames": "frames_deblurred"}


def test_equal_targets_are_refused_before_any_work(tmp_path: Path) -> None:
    touch(tmp_path / "a/one.mp4", tmp_path / "b/one.mp4")
    with pytest.raises(UsageFault, match=r"a/one\.mp4.*b/one\.mp4"):
        plan_batch([tmp_path / "a/one.mp4", tmp_path / "b/one.mp4"], f"{tmp_path}/out/")


def test_names_that_only_case_tells_apart_are_one_file_on_macos_and_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a/Clip.mp4", tmp_path / "b/clip.mp4")
    clips = [tmp_path / "a/Clip.mp4", tmp_path / "b/clip.mp4"]
    monkeypatch.setattr(sys, "platform", "linux")
    assert len(plan_batch(clips, f"{tmp_path}/out/").pairs) == 2
    for system in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        with pytest.raises(UsageFault, match=r"a/Clip\.mp4 and .*b/clip\.mp4 would both become"):
            plan_batch(clips, f"{tmp_path}/out/")


@pytest.mark.parametrize(
    ("names", "output", "said"),
    [
        (("one.mp4", "new.mov"), None, r"new\.mov: no such file .* did you mean -o .*new\.mov\?"),
        (("one.mp4", "two.mp4", "new.mov"), None, r"new\.mov: no such file .* -o FOLDER/"),
        (("one.mp4", "new.mov"), "out/", r"new\.mov: no such file .* check the name"),
        (("gone.mp4", "one.mp4"), None, r"gone\.mp4: no such file .* check the name"),
    ],
)
def test_of_several_inputs_one_that_is_not_there_is_said_before_any_work(
    tmp_path: Path, names: tuple[str, ...], output: str | None, said: str
) -> None:
    touch(tmp_path / "one.mp4", tmp_path / "two.mp4")
    with pytest.raises(InputFault, match=said):
        plan_batch([tmp_path / name for name in names], output)


def test_a_folder_without_clips_is_said(tmp_path: Path) -> None:
    touch(tmp_path / "docs/readme.txt")
    with pytest.raises(InputFault, match="neither video files nor"):
        plan_batch([tmp_path / "docs"], None)


def test_skipping_what_exists(tmp_path: Path) -> None:
    touch(tmp_path / "one.mp4", tmp_path / "two.mp4", tmp_path / "one_deblurred.mp4")
    batch = without_existing(plan_batch([tmp_path / "one.mp4", tmp_path / "two.mp4"], None))
    assert [pair.source.name for pair in batch.pairs] == ["two.mp4"]
    assert [path.name for path in batch.skipped] == ["one.mp4"]


def test_a_folder_made_for_a_run_that_fails_is_taken_away_again(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    pair = Pair(tmp_path / "one.mp4", tmp_path / "kept/new/deep/one.mp4", makes_folder=True)

    def run() -> None:
        with pair.folder():
            assert pair.target.parent.is_dir()
            raise InputFault("broken")

    with pytest.raises(InputFault):
        run()
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]
    assert not list((tmp_path / "kept").iterdir())


def test_folders_that_came_to_hold_nothing_are_taken_away(tmp_path: Path) -> None:
    pairs = [Pair(Path(name), tmp_path / f"new/{name}/out.mp4", makes_folder=True) for name in ("one", "two")]
    made = [folder for pair in pairs for folder in pair.make_folder()]
    touch(pairs[1].target)
    remove_empty(made)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["two"]
    pairs[1].target.unlink()
    remove_empty(made)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    touch(tmp_path / "file")
    pair = Pair(tmp_path / "one.mp4", tmp_path / "file/new/one.mp4", makes_folder=True)
    with pytest.raises(DiskFault, match="cannot be made"), pair.folder():
        pass
