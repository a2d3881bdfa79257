"""Adapting from a clip to weights that deblurring takes; cut off, resumed, refused."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import made_clips
import pytest
import torch
from safetensors.torch import load_file

from selfhvd_cli import adapt_network
from selfhvd_cli.adapt_network import adapt, adapt_steps
from selfhvd_cli.adaptation import prepare
from selfhvd_cli.adaptation.job import AdaptJob, AdaptProgress
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.moments import as_moment
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.load import load_restorer
from selfhvd_cli.training.processes import Processes
from selfhvd_cli.weights.load import read_metadata
from selfhvd_cli.weights.save import save_state_dict

SHAKE = [0.0, 1.5, 2.0, 1.5] * 6
SIZES: dict[str, Any] = {"crop": 64, "sequence": 4, "batch": 1, "targets": 1}
SMALL: dict[str, Any] = {
    "flow": "dis", "perceptual": "none", "device": "cpu", "precision": "fp32", "patience": None, **SIZES
}  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = made_clips.shaken(SHAKE, width=80, height=64)
    return made_clips.write_folder(tmp_path_factory.mktemp("clip") / "frames", frames)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the embedded network that have not learned anything yet."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    save_state_dict(path, ARCHITECTURES["lite"].build().state_dict(), {"architecture": "lite"})
    return path


def test_a_clip_becomes_weights_with_their_history(clip: Path, base: Path, tmp_path: Path) -> None:
    target = tmp_path / "own.safetensors"
    seen: list[AdaptProgress] = []
    report = adapt(clip, target, init=str(base), steps=4, check_every=2, on_progress=seen.append, **SMALL)
    assert report.weights == target
    assert report.steps == 4
    assert report.ended == "steps"
    assert report.after.score >= report.before.score
    assert load_restorer("lite", str(target), target, torch.device("cpu")).restorer is not None
    told = read_metadata(target)
    assert told["architecture"] == "lite"
    assert told["base"] == str(base)
    assert json.loads(told["config"])["steps"] == 4
    assert json.loads(told["clips"])[0]["frames"] == len(SHAKE)
    assert json.loads(told["figures"])["steps"] == 4
    lines = [json.loads(line) for line in report.log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert ["held_out" in line for line in lines] == [False, True, False, True]
    assert report.pictures.read_bytes().startswith(b"\x89PNG")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["own.log.jsonl", "own.png", "own.safetensors"]
    assert [step.step.step for step in seen if step.step is not None] == [1, 2, 3, 4]
    with pytest.raises(UsageFault, match="--overwrite"):
        adapt(clip, target, init=str(base), steps=4, **SMALL)


def test_a_picture_of_ones_own_is_not_replaced(clip: Path, base: Path, tmp_path: Path) -> None:
    mine = tmp_path / "own.png"
    mine.write_bytes(b"of the holidays")
    with pytest.raises(UsageFault, match=r"own\.png: would be replaced.*--overwrite"):
        adapt(clip, tmp_path / "own.safetensors", init=str(base), steps=1, **SMALL)
    assert mine.read_bytes() == b"of the holidays"
    (tmp_path / "own.log.jsonl").touch()  # an earlier run left both
    adapt(clip, tmp_path / "own.safetensors", init=str(base), steps=1, **SMALL)
    assert mine.read_bytes().startswith(b"\x89PNG")


def test_weights_that_do_not_improve_are_the_bases(clip: Path, base: Path, tmp_path: Path) -> None:
    report = adapt(clip, tmp_path / "w.safetensors", init=str(base), steps=3, rate=1.0, average=0.0,
                   clip_gradient=1e6, **SMALL)  # fmt: skip
    assert not report.improved
    assert report.after == report.before
    kept, given = load_file(report.weights), load_file(base)
    assert all(torch.equal(kept[key], given[key].float()) for key in given)


KILLED = """
import pickle, sys, time
from selfhvd_cli.adapt_network import adapt_steps
with open(sys.argv[1], "rb") as file:
    job = pickle.load(file)
for progress in adapt_steps(job):
    if progress.step is not None:
        print(progress.step.step, flush=True)
        if progress.step.step == 3:  # after the first checkpoint, between two
            time.sleep(600)
"""


def test_killed_and_resumed_it_ends_with_the_same_weights(clip: Path, base: Path, tmp_path: Path) -> None:
    def job(name: str) -> AdaptJob:
        return AdaptJob((clip,), tmp_path / f"{name}.safetensors", init=str(base), flow="dis", perceptual="none",
                        options={**SIZES, "steps": 6}, patience=None, device="cpu", precision="fp32",
                        checkpoint_every=2, check_every=3)  # fmt: skip

    list(adapt_steps(job("whole")))
    cut = job("cut")
    asked = tmp_path / "job.pickle"
    asked.write_bytes(pickle.dumps(cut))
    run = subprocess.Popen([sys.executable, "-c", KILLED, str(asked)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    for line in run.stdout:
        if int(line) == 3:
            os.kill(run.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            break
    run.wait(60)
    run.stdout.close()
    assert cut.checkpoint.exists()
    assert not cut.weights.exists()
    steps = [progress.step.step for progress in adapt_steps(cut) if progress.step is not None]
    assert 1 < steps[0] <= 5
    one, two = load_file(job("whole").weights), load_file(cut.weights)
    assert all(torch.equal(one[key], two[key]) for key in one)
    for each in (job("whole"), cut):
        assert [json.loads(line)["step"] for line in each.log.read_text().splitlines()] == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_never_stands_without_the_log_of_its_steps(
    clip: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = AdaptJob((clip,), tmp_path / "w.safetensors", init=str(base), flow="dis", perceptual="none",
                   options={**SIZES, "steps": 3}, device="cpu", precision="fp32", checkpoint_every=2)  # fmt: skip
    written: list[tuple[int, int]] = []

    def saved(path: Path, state: dict[str, Any]) -> None:
        written.append((state["trainer"]["step"], len(job.log.read_text().splitlines())))

    monkeypatch.setattr(adapt_network, "save_checkpoint", saved)
    list(adapt_steps(job))
    assert written == [(2, 2)]


def test_given_up_between_steps_it_keeps_a_checkpoint_that_other_options_do_not_touch(
    clip: Path, base: Path, tmp_path: Path
) -> None:
    def job(**options: int) -> AdaptJob:
        return AdaptJob((clip,), tmp_path / "w.safetensors", init=str(base), flow="dis", perceptual="none",
                        options={**SIZES, "steps": 6, **options}, device="cpu", precision="fp32")  # fmt: skip

    steps = adapt_steps(job())
    for progress in steps:
        if progress.step is not None and progress.step.step == 1:
            break
    steps.close()
    assert job().checkpoint.exists()
    assert not job().weights.exists()
    with pytest.raises(UsageFault, match="other clips or options"):
        list(adapt_steps(job(seed=5)))
    going_on = next(p.step for p in adapt_steps(job()) if p.step is not None)
    assert going_on.step == 2


@pytest.mark.parametrize("what", ["clip", "base", "span", "flow"])
def test_a_checkpoint_of_something_else_is_not_taken(clip: Path, base: Path, tmp_path: Path, what: str) -> None:
    def job(**other: Any) -> AdaptJob:
        given = {"clips": (clip,), "init": str(base), "flow": "dis", **other}
        return AdaptJob(weights=tmp_path / "w.safetensors", perceptual="none", options={**SIZES, "steps": 6},
                        device="cpu", precision="fp32", **given)  # fmt: skip

    torch.manual_seed(1)
    other_base = tmp_path / "other.safetensors"
    save_state_dict(other_base, ARCHITECTURES["lite"].build().state_dict(), {"architecture": "lite"})
    frames = made_clips.shaken(SHAKE, width=80, height=64, seed=4)
    others = {
        "clip": {"clips": (made_clips.write_folder(tmp_path / "frames", frames),)},
        "base": {"init": str(other_base)},
        "span": {"start": as_moment("2f")},
        "flow": {"flow": "lite"},
    }
    steps = adapt_steps(job())
    next(progress for progress in steps if progress.step is not None)
    steps.close()
    with pytest.raises(UsageFault, match="other clips or options"):
        list(adapt_steps(job(**others[what])))


def test_what_sharp_frames_are_to_stay_is_what_the_network_given_makes_of_them(
    clip: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    prepare = adapt_network.prepare

    def noted(*given: Any) -> Any:
        runs.append((yield from prepare(*given)))
        return runs[0]

    monkeypatch.setattr(adapt_network, "prepare", noted)
    adapt(clip, tmp_path / "w.safetensors", init=str(base), steps=3, rate=1e-2, **SMALL)
    (run,) = runs
    kept, given = run.trainer.objective.base.network.state_dict(), load_file(base)
    assert all(torch.equal(kept[key], given[key].float()) for key in given)
    learned = run.trainer.restorer.network.state_dict()
    assert not all(torch.equal(learned[key], given[key].float()) for key in given)


def test_from_scratch_the_seed_decides_where_it_begins(clip: Path, tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(len(name))
        target = tmp_path / f"{name}.safetensors"
        adapt(clip, target, model="ifirnn", init="scratch", steps=1, seed=seed, **SMALL)
        return load_file(target)

    one, again, other = weights("one", 0), weights("again", 0), weights("other", 1)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_processes_that_train_together_take_the_sizes_that_fit_in_all(
    clip: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each measures its own memory; of different sizes they would draw different parts of one batch."""
    asked: list[list[float]] = []

    def with_another(self: Processes, values: list[float], device: torch.device) -> list[float]:
        asked.append(values)
        return [min(pair) for pair in zip(values, [160.0, 4.0, 1.0, 0.0], strict=True)]

    monkeypatch.setattr(Processes, "smallest", with_another)
    monkeypatch.setattr(prepare, "available_memory", lambda *_: 1 << 34)
    steps = adapt_steps(AdaptJob((clip,), tmp_path / "w.safetensors", init=str(base), flow="dis", perceptual="none",
                                 options={"steps": 1}, device="cpu", precision="fp32"))  # fmt: skip
    said = ""
    for progress in steps:
        said += " ".join(progress.messages)
        if progress.phase == "train":
            break
    steps.close()
    assert asked == [[192.0, 9.0, 2.0, 1.0]]
    assert "1 crops of 64 px, 4 frames each, activations computed twice" in said


def test_time_is_kept(clip: Path, base: Path, tmp_path: Path) -> None:
    report = adapt(clip, tmp_path / "w.safetensors", init=str(base), steps=100_000, minutes=0.001, **SMALL)
    assert report.ended == "minutes"
    assert report.steps < 100
    assert report.weights.exists()


def refused(frames: list[Any], folder: Path, **options: Any) -> str:
    clip = made_clips.write_folder(folder / "frames", frames)
    with pytest.raises(InputFault) as fault:
        adapt(clip, folder / "w.safetensors", init="scratch", steps=2, **{**SMALL, **options})
    assert not (folder / "w.safetensors").exists()
    return fault.value.message


def test_clips_without_anything_to_learn_are_refused_with_the_reason(tmp_path: Path) -> None:
    even = made_clips.shaken([0.0] * 12, width=80, height=64)
    assert "equally sharp" in refused(even, tmp_path / "sharp")
    blurry = made_clips.shaken([2.0] * 12, width=80, height=64)
    assert "equally sharp" in refused(blurry, tmp_path / "blurry")
    assert "equally sharp" in refused([even[0]] * 12, tmp_path / "still")
    assert "2 frames" in refused(even[:2], tmp_path / "two")
    black = [even[0] * 0] * 12
    assert "black" in refused(black, tmp_path / "black")
    small = made_clips.shaken(SHAKE, width=48, height=48)
    assert "48x48" in refused(small, tmp_path / "small")
    few = made_clips.shaken([0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0], width=80, height=64)
    message = refused(few, tmp_path / "few")
    assert "2 sharp frames found, adaptation needs 5" in message
    assert "selfhvd deblur" in message
    one_blurred = made_clips.shaken([0.0] * 8 + [2.5], width=80, height=64)
    assert "none is left to be taught" in refused(one_blurred, tmp_path / "last", segment=8)
    every_one = made_clips.shaken(SHAKE, width=80, height=64)
    assert "of a segment of 1 frames" in refused(every_one, tmp_path / "alone", segment=1)


def test_a_clip_of_cuts_is_refused_or_learned_from_shot_by_shot(base: Path, tmp_path: Path) -> None:
    cuts = [made_clips.shaken([0.0], width=80, height=64, seed=seed)[0] for seed in range(8) for _ in range(2)]
    assert "cut into" in refused(cuts, tmp_path / "cuts")
    shots = [frame for seed in (0, 7) for frame in made_clips.shaken(SHAKE[:12], width=80, height=64, seed=seed)]
    clip = made_clips.write_folder(tmp_path / "shots", shots)
    report = adapt(clip, tmp_path / "w.safetensors", init=str(base), steps=2, **SMALL)
    assert report.clips[0].scenes == 2


def test_what_is_learned_from_is_what_is_counted(base: Path, tmp_path: Path) -> None:
    one, other = (
        made_clips.shaken(SHAKE[:count], width=80, height=64, seed=seed) for count, seed in ((16, 0), (7, 7))
    )
    flash = made_clips.shaken([0.0, 2.0], width=80, height=64, seed=3)
    clip = made_clips.write_folder(tmp_path / "shots", [*one, *flash, *other])
    seen: list[AdaptProgress] = []
    options = {**SMALL, "sequence": 9}
    report = adapt(clip, tmp_path / "w.safetensors", init=str(base), steps=2, on_progress=seen.append, **options)
    assert (report.clips[0].frames, report.clips[0].scenes, report.clips[0].used) == (25, 2, 23)
    said = " ".join(message for step in seen for message in step.messages)
    assert "1 of 3 scenes left out" in said
    assert "23 frames" in said
    assert "1 of 2 scenes are shorter" in said


def test_from_scratch_without_gain_it_tells_how_bad_the_weights_are(clip: Path, tmp_path: Path) -> None:
    report = adapt(clip, tmp_path / "w.safetensors", init="scratch", steps=3, rate=0.03, average=0.0,
                   clip_gradient=1e6, **SMALL)  # fmt: skip
    assert not report.improved
    last = json.loads(report.log.read_text().splitlines()[-1])["held_out"]
    assert report.after.score == pytest.approx(last["score"], abs=1e-3)
    assert report.after.score < report.before.score
    assert json.loads(read_metadata(report.weights)["figures"])["after"] == last


def test_missing_clips_and_wrong_names_are_told_at_once(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="no such file"):
        adapt(tmp_path / "none.mp4", tmp_path / "w.safetensors")
    with pytest.raises(UsageFault, match="safetensors"):
        adapt(clip, tmp_path / "w.pth")
    with pytest.raises(UsageFault, match="loss_of_faith"):
        adapt(clip, tmp_path / "w.safetensors", loss_of_faith=1)
    with pytest.raises(UsageFault, match="bf16 or fp32"):
        adapt(clip, tmp_path / "w.safetensors", precision="fp16")
    with pytest.raises(UsageFault, match="multiple of 8"):
        adapt(clip, tmp_path / "w.safetensors", init="scratch", crop=70)
    for name, choices in (("flow", "sea-raft"), ("perceptual", "vgg19"), ("masks", "occlusion"), ("model", "lite")):
        with pytest.raises(UsageFault, match=f"typo.*{choices}"):
            adapt(clip, tmp_path / "w.safetensors", **{name: "typo"})
    with pytest.raises(UsageFault, match="--rate inf"):
        adapt(clip, tmp_path / "w.safetensors", rate=float("inf"))
    with pytest.raises(UsageFault, match="--seed -1"):
        adapt(clip, tmp_path / "w.safetensors", seed=-1)
    for name in ("patience", "check_every"):
        with pytest.raises(UsageFault, match=f"--{name.replace('_', '-')} -3"):
            adapt(clip, tmp_path / "w.safetensors", **{name: -3})


def test_a_large_seed_is_one_as_well(clip: Path, tmp_path: Path) -> None:
    job = AdaptJob((clip,), tmp_path / "w.safetensors", init="scratch", flow="dis", perceptual="none", device="cpu",
                   precision="fp32", options={**SIZES, "steps": 2, "seed": 10**30}, checkpoint_every=1)  # fmt: skip
    for wanted in (1, 2):  # the second goes on from the checkpoint of the first
        steps = adapt_steps(job)
        assert next(p.step.step for p in steps if p.step is not None) == wanted
        steps.close()
