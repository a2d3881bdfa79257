"""Several processes share the windows of a clip, and give bit for bit what one gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from multiprocessing import active_children
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_clips import make_clip, pictures
from torch import Tensor

from selfhvd_cli import deblur
from selfhvd_cli.cli import selfhvd
from selfhvd_cli.cli.ending import as_fault
from selfhvd_cli.clip import Clip
from selfhvd_cli.device import choose_compute
from selfhvd_cli.errors import EnvironmentFault, MemoryFault, SelfHVDError, WeightsFault
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.crew import Crew, Post, Task
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.held import Held, Packed, Planes
from selfhvd_cli.restore.load import load_restorer
from selfhvd_cli.restore.moving_picture import moving_picture
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.stream import restore_clips, restore_stream
from selfhvd_cli.restore.windows import Frame
from selfhvd_cli.video.codes import Codes, codes_of
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.pixels import Signal, add_change, planes_of
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.save import save_state_dict
from selfhvd_cli.weights.store import find

PLAN = Plan(window=4, overlap=2, guard=False, scene_cut=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_state_dict(path, ARCHITECTURES["ifirnn"].build().state_dict(), {"architecture": "ifirnn"})
    return path


def crew_of(count: int, path: Path, early: bool = False) -> Crew:
    post = Post("ifirnn", str(path), path, choose_compute("cpu"), PLAN, torch.get_num_threads())
    return Crew([post] * count, early)


@pytest.fixture(scope="module")
def two_processes(weights: Path) -> Iterator[Crew]:
    """What tests share that leave it as it was: a process takes seconds to begin."""
    with crew_of(2, weights) as crew:
        yield crew


when_windows_are_sent = pytest.mark.parametrize("early", [False, True], ids=["in turn", "early"])


def test_two_processes_give_bit_for_bit_what_one_gives(weights: Path, two_processes: Crew) -> None:
    frames = moving_picture(13, 40, 48)
    clips = [Clip(frame.unsqueeze(0), (Fraction(index, 30),)) for index, frame in enumerate(frames)]
    compute = choose_compute("cpu")
    restorer = load_restorer("ifirnn", str(weights), weights, compute.device).restorer
    alone = list(restore_clips(restorer, clips, PLAN, compute))
    together = list(restore_clips(restorer, clips, PLAN, compute, two_processes))
    assert [each.time for each in together] == [each.time for each in alone] == [clip.times[0] for clip in clips]
    assert all(torch.equal(one.frame, two.frame) for one, two in zip(alone, together, strict=True))
    assert not torch.equal(alone[5].frame, frames[5]), "the network changes the frames"


def planes_of_clip(clip: Tensor) -> Iterator[Frame]:
    """Frames `[T, 3, H, W]` as recorded in 10 bits."""
    for index, picture in enumerate(clip):
        height, width = picture.shape[1:]
        recorded = av.VideoFrame(width, height, "yuv420p10le")
        for plane in planes_of(recorded):
            plane.fill_(512)
        add_change(recorded, torch.full_like(picture, 0.5), picture, Signal(1))
        codes = codes_of(recorded, Signal(1))
        assert codes is not None
        yield Frame(Planes(codes), Fraction(index, 30))


@when_windows_are_sent
def test_frames_reach_other_processes_as_planes(weights: Path, two_processes: Crew, early: bool) -> None:
    clip = moving_picture(7, 40, 48)
    compute = choose_compute("cpu")
    restorer = load_restorer("ifirnn", str(weights), weights, compute.device).restorer
    alone = [each.picture for each in restore_stream(restorer, planes_of_clip(clip), PLAN, compute)]
    with crew_of(2, weights, early) if early else nullcontext(two_processes) as crew:
        together = [each.picture for each in restore_stream(restorer, planes_of_clip(clip), PLAN, compute, crew)]
    for one, two, frame in zip(alone, together, planes_of_clip(clip), strict=True):
        assert isinstance(one, Codes)
        assert isinstance(two, Codes)
        assert torch.equal(one.flat, two.flat)
        assert not torch.allclose(one.rgb(), frame.held.rgb(compute.device), atol=0.01), (
            "the network changes the frames"
        )


@pytest.fixture
def two_threads() -> Iterator[int]:
    """The tails of what each thread computes are rounded otherwise: each process has as many as one alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def grainy(count: int) -> Tensor:
    grain = torch.rand(count, 3, 72, 104, generator=torch.Generator().manual_seed(1))
    return (moving_picture(count, 72, 104) + 0.1 * grain).clamp(0, 1)


def test_the_embedded_network_gives_the_same_bits_in_two_processes(two_threads: int) -> None:
    path = find(parse_reference("lite"))
    assert path is not None
    frames, compute, plan = grainy(9), choose_compute("cpu"), Plan(window=5, overlap=2, scene_cut=False)
    clips = [Clip(frame.unsqueeze(0), (Fraction(index, 30),)) for index, frame in enumerate(frames)]
    restorer = load_restorer("lite", "lite", path, compute.device).restorer
    alone = list(restore_clips(restorer, clips, plan, compute))
    with Crew([Post("lite", "lite", path, compute, plan, two_threads)] * 2) as crew:
        together = list(restore_clips(restorer, clips, plan, compute, crew))
    for one, two in zip(alone, together, strict=True):
        assert torch.equal(one.frame, two.frame)
        assert one.verdict == two.verdict
        assert one.source is not None
        assert two.source is not None
        assert torch.equal(one.source, two.source), "what the writer takes the change from"
    assert any(each.verdict.strength > 0 for each in alone)


def test_codes_come_back_from_where_they_were_judged(two_threads: int) -> None:
    """Some at a time, and nothing of what an earlier run restored."""
    path = find(parse_reference("lite"))
    assert path is not None
    clip, compute = grainy(11), choose_compute("cpu")
    plan = Plan(window=5, overlap=2, scene_cut=False, together=2)
    restorer = load_restorer("lite", "lite", path, compute.device).restorer
    alone = list(restore_stream(restorer, planes_of_clip(clip), plan, compute))
    with Crew([Post("lite", "lite", path, compute, plan, two_threads)] * 2) as crew:
        together = list(restore_stream(restorer, planes_of_clip(clip), plan, compute, crew, done=6))
    assert [each.time for each in together] == [each.time for each in alone]
    assert [each.picture is None for each in together] == [True] * 6 + [False] * 5
    for one, two in zip(alone[6:], together[6:], strict=True):
        assert isinstance(one.picture, Codes)
        assert isinstance(two.picture, Codes)
        # Restored in other company, so rounded otherwise: a code more or less.
        assert (one.picture.flat.int() - two.picture.flat.int()).abs().amax() <= 1
        assert two.verdict.strength == pytest.approx(one.verdict.strength, abs=1e-3)


def black() -> list[Held]:
    return [Packed.of(torch.zeros(3, 32, 32)) for _ in range(4)]


@when_windows_are_sent
def test_a_crew_that_is_left_ends(weights: Path, early: bool) -> None:
    work = ((index, black(), slice(0, 4)) for index in range(100))
    with crew_of(2, weights, early) as crew:
        first = next(iter(crew.restore(work)))
    assert first[0] == 0


def test_what_a_process_cannot_load_is_told_as_by_one(tmp_path: Path) -> None:
    work = [(0, black(), slice(0, 4))]
    with crew_of(1, tmp_path / "none.safetensors") as crew, pytest.raises(WeightsFault, match="no such file"):
        list(crew.restore(work))


@when_windows_are_sent
def test_a_process_that_dies_ends_the_run_with_word_of_it(weights: Path, early: bool) -> None:
    others = active_children()

    def work() -> Iterator[tuple[int, list[Held], slice]]:
        for index in range(10):
            yield index, black(), slice(0, 4)
            if index == 3:
                for process in active_children():
                    if process not in others:
                        process.kill()

    with crew_of(1, weights, early) as crew, pytest.raises(SelfHVDError, match="ended without an answer"):
        list(crew.restore(work()))


class Huge:
    """An answer that there is no room to send."""

    def __reduce__(self) -> str:
        raise MemoryError


def give_what_cannot_be_sent(engine: Engine, frames: list[Held], keep: slice) -> Huge:
    return Huge()


def fall_off_the_bus(engine: Engine, frames: list[Held], keep: slice) -> None:
    raise RuntimeError("CUDA error: the launch timed out and was terminated")


@pytest.mark.parametrize(
    ("task", "meaning"), [(give_what_cannot_be_sent, MemoryFault), (fall_off_the_bus, EnvironmentFault)]
)
def test_what_failed_in_a_process_is_known_here(
    two_processes: Crew, task: Task[None], meaning: type[SelfHVDError]
) -> None:
    work = [(0, black(), slice(0, 4))]
    with pytest.raises(Exception) as raised:  # noqa: PT011
        list(two_processes.run(work, task))
    assert isinstance(as_fault(raised.value), meaning)


def test_a_whole_clip_is_the_same_on_two_devices(weights: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", sound=False)
    for name, devices in (("one", ()), ("two", ("cpu", "cpu"))):
        report = deblur(clip, tmp_path / f"{name}.mkv", model="ifirnn", weights=weights, window=4, devices=devices,
                        encoding=Encoding("ffv1"))  # fmt: skip
        assert report.frames == 8
    assert np.array_equal(pictures(tmp_path / "one.mkv"), pictures(tmp_path / "two.mkv"))


def test_device_and_devices_contradict_each_other(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", sound=False)
    result = CliRunner().invoke(selfhvd, ["deblur", str(clip), "--devices", "cpu,cpu", "--device", "cpu"])
    assert result.exit_code == 2
    assert "--devices" in result.stderr
