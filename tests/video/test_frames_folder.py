"""A folder of numbered pictures as a clip, in and out."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from video_clips import draw

from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.pictures import folder_writer
from selfhvd_cli.video.pictures.frame_paths import frame_paths, is_frames_folder, is_frames_target
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.reader import Reader, open_reader
from selfhvd_cli.video.writing import Writer, open_writer


def pictures(folder: Path, suffix: str = ".png", count: int = 4, deep: bool = False) -> list[np.ndarray]:
    """Write pictures 8, 9, 10, 11 and give their RGB codes."""
    folder.mkdir()
    made = []
    for index in range(count):
        codes = draw(index, 40, 30)
        whole = codes.astype(np.uint16) * 257 + index if deep else codes
        cv2.imwrite(str(folder / f"{index + 8}{suffix}"), np.ascontiguousarray(whole[..., ::-1]))
        made.append(whole)
    return made


def copy(source: Path, target: Path, restore: bool = False, overwrite: bool = False) -> None:
    with open_reader(source) as reader, open_writer(target, reader.info, overwrite=overwrite) as writer:
        for frame in reader:
            writer.write(frame, frame.rgb().clone() if restore else None)


@pytest.mark.parametrize(("suffix", "deep"), [(".png", False), (".png", True), (".tif", False), (".tiff", True)])
@pytest.mark.parametrize("restore", [False, True])
def test_pictures_come_back_code_by_code(tmp_path: Path, suffix: str, deep: bool, restore: bool) -> None:
    made = pictures(tmp_path / "in", suffix, deep=deep)
    copy(tmp_path / "in", tmp_path / "out", restore)
    assert [path.name for path in frame_paths(tmp_path / "out")] == [f"{i}{suffix}" for i in (8, 9, 10, 11)]
    for path, codes in zip(frame_paths(tmp_path / "out"), made, strict=True):
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert found.dtype == codes.dtype
        assert (found[..., ::-1] == codes).all()


@pytest.mark.parametrize("kind", ["RGB", "YCbCr"])
def test_a_tiff_compressed_as_jpeg_is_refused_rather_than_taken_for_black(tmp_path: Path, kind: str) -> None:
    picture = Image.fromarray(draw(0, 40, 30)).convert(kind)
    picture.save(tmp_path / "1.tif", compression="tiff_lzw")
    with open_reader(tmp_path) as reader:
        assert len(list(reader)) == 1
    picture.save(tmp_path / "2.tif", compression="jpeg")
    with pytest.raises(InputFault, match="is a TIFF compressed as JPEG"):
        open_reader(tmp_path)


def test_numbers_of_the_same_value_have_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["01.png", "1.png", "001.png", "2.png"]
    for order in (names, names[::-1]):
        monkeypatch.setattr(Path, "iterdir", lambda folder, order=order: iter([folder / name for name in order]))
        monkeypatch.setattr(Path, "is_file", lambda _: True)
        assert [path.name for path in frame_paths(tmp_path)] == ["001.png", "01.png", "1.png", "2.png"]


def test_what_a_restoration_left_alone_keeps_its_16_bits(tmp_path: Path) -> None:
    made = pictures(tmp_path / "in", deep=True)
    with open_reader(tmp_path / "in") as reader, open_writer(tmp_path / "out", reader.info) as writer:
        for frame in reader:
            buffered = (frame.rgb() * 16384).round() / 16384
            restored = buffered.clone()
            restored[:, :, :20] *= 0.5
            frame.remember(buffered)
            writer.write(frame, restored)
    for path, codes in zip(frame_paths(tmp_path / "out"), made, strict=True):
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert (found[:, 20:] == codes[:, 20:]).all()
        assert np.abs(found[:, :20] - codes[:, :20] / 2).max() < 4


def test_jpegs_stay_jpegs_and_look_alike(tmp_path: Path) -> None:
    made = pictures(tmp_path / "in", ".jpg")
    copy(tmp_path / "in", tmp_path / "out")
    found = cv2.imread(str(tmp_path / "out" / "8.jpg"))[..., ::-1].astype(int)
    assert np.abs(found - made[0]).mean() < 4


def test_frames_are_read_in_natural_order_thirty_a_second(tmp_path: Path) -> None:
    made = pictures(tmp_path / "in")
    with open_reader(tmp_path / "in") as reader:
        frames = list(reader)
    assert reader.info.frame_count == 4
    assert [frame.time for frame in frames] == [Fraction(i, 30) for i in range(4)]
    for frame, codes in zip(frames, made, strict=True):
        assert np.abs(frame.rgb().permute(1, 2, 0).numpy() * 255 - codes).max() < 0.01


def test_digits_that_are_no_numbers_are_letters(tmp_path: Path) -> None:
    pictures(tmp_path / "in", count=2)
    (tmp_path / "in" / "8.png").rename(tmp_path / "in" / "²10.png")
    (tmp_path / "in" / "9.png").rename(tmp_path / "in" / "²9.png")
    assert [path.name for path in frame_paths(tmp_path / "in")] == ["²9.png", "²10.png"]


def test_a_stretch_of_pictures(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    with open_reader(tmp_path / "in", start=Fraction(1, 30), duration=Fraction(2, 30)) as reader:
        assert [(frame.index, frame.name) for frame in reader] == [(0, "9.png"), (1, "10.png")]
    with open_reader(tmp_path / "in", start=Fraction(5)) as reader, pytest.raises(InputFault, match="4 frames"):
        list(reader)


@pytest.mark.parametrize(("deep", "pixel_format"), [(False, "yuv420p"), (True, "yuv420p10le")])
def test_pictures_become_a_video(tmp_path: Path, deep: bool, pixel_format: str) -> None:
    pictures(tmp_path / "in", deep=deep)
    with (
        open_reader(tmp_path / "in") as reader,
        open_writer(tmp_path / "out.mp4", reader.info, Encoding(crf=1, preset="ultrafast")) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.rgb() * 1.0)
    info = probe(tmp_path / "out.mp4")
    assert (info.codec, info.pixel_format, info.frame_count, info.color.matrix) == ("h264", pixel_format, 4, 1)
    with open_reader(tmp_path / "out.mp4") as reader, open_reader(tmp_path / "in") as original:
        for frame, was in zip(reader, original, strict=True):
            assert (frame.rgb() - was.rgb()).abs().mean() < 0.03


def test_a_video_becomes_pictures(clip: Callable[..., Path], tmp_path: Path) -> None:
    source = clip("in.mp4", pixel_format="yuv444p", frames=3)
    copy(source, tmp_path / "out")
    names = [path.name for path in frame_paths(tmp_path / "out")]
    assert names == ["frame_000001.png", "frame_000002.png", "frame_000003.png"]
    found = cv2.imread(str(tmp_path / "out" / names[2]))[..., ::-1].astype(int)
    assert np.abs(found - draw(2, 64, 48)).mean() < 4


def test_a_deep_video_becomes_deep_pictures(clip: Callable[..., Path], tmp_path: Path) -> None:
    copy(clip("in.mp4", codec="libx265", pixel_format="yuv420p10le", frames=2, sound=False), tmp_path / "out")
    assert cv2.imread(str(tmp_path / "out" / "frame_000001.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_grey_and_transparent_pictures(tmp_path: Path) -> None:
    gray = draw(1, 20, 10)[..., 0]
    for name, codes in (("gray", gray), ("alpha", np.dstack([draw(0, 20, 10), gray]))):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), codes)
        copy(tmp_path / name, tmp_path / f"{name}_out")
        assert (cv2.imread(str(tmp_path / f"{name}_out" / "1.png"), cv2.IMREAD_UNCHANGED) == codes).all()


def test_mixed_sizes_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    cv2.imwrite(str(tmp_path / "in" / "9.png"), np.zeros((8, 8, 3), np.uint8))
    with open_reader(tmp_path / "in") as reader, pytest.raises(InputFault, match=r"9.png: is 8×8"):
        list(reader)


def test_mixed_kinds_and_broken_pictures_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    (tmp_path / "in" / "12.jpg").write_bytes(b"")
    with pytest.raises(InputFault, match="several kinds"):
        open_reader(tmp_path / "in")
    (tmp_path / "in" / "12.jpg").unlink()
    (tmp_path / "in" / "10.png").write_bytes(b"no picture")
    with open_reader(tmp_path / "in") as reader, pytest.raises(InputFault, match=r"10.png: cannot be read"):
        list(reader)


def interrupt_after_one(reader: Reader, writer: Writer) -> None:
    writer.write(next(iter(reader)))
    raise KeyboardInterrupt


def test_a_broken_off_folder_is_not_there(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    with (
        open_reader(tmp_path / "in") as reader,
        pytest.raises(KeyboardInterrupt),
        open_writer(tmp_path / "out", reader.info) as writer,
    ):
        interrupt_after_one(reader, writer)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_targets(tmp_path: Path) -> None:
    pictures(tmp_path / "in")
    assert is_frames_folder(tmp_path / "in")
    assert not is_frames_folder(tmp_path)
    assert is_frames_target(tmp_path / "new")
    assert not is_frames_target(tmp_path / "new.mp4")
    with pytest.raises(UsageFault, match="replace its own input"):
        copy(tmp_path / "in", tmp_path / "in", overwrite=True)
    copy(tmp_path / "in", tmp_path / "out")
    with pytest.raises(UsageFault, match="--overwrite"):
        copy(tmp_path / "in", tmp_path / "out")
    copy(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert len(frame_paths(tmp_path / "out")) == 4
    (tmp_path / "out" / "diary.txt").write_text("mine")
    with pytest.raises(UsageFault, match=r"diary.txt"):
        copy(tmp_path / "in", tmp_path / "out", overwrite=True)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_folder_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool) -> None:
    pictures(tmp_path / "in", count=3)
    pictures(tmp_path / "out", count=4)
    if not in_one_step:
        monkeypatch.setattr(folder_writer, "exchange", lambda one, other: False)
    copy(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert files(tmp_path / "out").keys() == files(tmp_path / "in").keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_kill_between_two_renames_is_mended_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path / "in", count=3)
    pictures(tmp_path / "out", count=4)
    before = files(tmp_path / "out")
    monkeypatch.setattr(folder_writer, "exchange", lambda one, other: False)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    real = folder_writer.os.replace
    with monkeypatch.context() as patch:
        patch.setattr(OutputFile, "commit", killed)
        patch.setattr(OutputFile, "discard", OutputFile._let_go)  # as the kernel does
        patch.setattr(folder_writer.os, "replace", lambda one, two: real(one, two) if one.name == "out" else None)
        with pytest.raises(Killed):
            copy(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageFault, match="exists already"):
        copy(tmp_path / "in", tmp_path / "out")
    assert files(tmp_path / "out") == before
    copy(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert files(tmp_path / "out").keys() == files(tmp_path / "in").keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_two_runs_do_not_write_one_folder(tmp_path: Path) -> None:
    pictures(tmp_path / "in", count=3)
    with open_reader(tmp_path / "in") as reader, open_writer(tmp_path / "out", reader.info) as writer:
        frames = iter(reader)
        writer.write(next(frames))
        with pytest.raises(UsageFault, match="another selfhvd is writing it"):
            copy(tmp_path / "in", tmp_path / "out")
        for frame in frames:
            writer.write(frame)
    assert len(files(tmp_path / "out")) == 3
