"""Pretraining: it learns, resumes as if nothing had happened, and says what is wrong."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from selfhvd_cli import pretrain_network
from selfhvd_cli.device import choose_compute
from selfhvd_cli.errors import InputFault, UsageFault, WeightsFault
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.pretrain_network import PretrainConfig, pretrain, pretrain_steps
from selfhvd_cli.synthesis.pool import WindowPool, read_photos, window_at
from selfhvd_cli.training.checkpoint import load_checkpoint, save_checkpoint
from selfhvd_cli.training.origin import Origin
from selfhvd_cli.training.pretraining import Pretraining, cascade

CONFIG = PretrainConfig(steps=3, batch=2, crop=64, sources=2, reuse=1, seed=3)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(3):
        coarse = rng.uniform(0, 255, (12, 15, 3)).astype(np.float32)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(coarse, (150, 120), interpolation=cv2.INTER_CUBIC))
    return folder


def run(photos: Path, weights: Path, **options: object) -> list:
    settings = {"precision": "fp32", "device": "cpu", "workers": 1, "every": 1, "validate_every": 100, **options}
    config = settings.pop("config", CONFIG)
    return list(pretrain_steps(photos, weights, config, **settings))  # type: ignore[arg-type]


class PoolOfThisProcess(WindowPool):
    """The same windows in the same order, rendered here: another process takes seconds to begin."""

    def __init__(self, paths: list[Path], *, size: int, count: int, seed: int, **options: Any) -> None:
        super().__init__(paths, size=size, count=count, seed=seed, **{**options, "workers": 0})
        photos = read_photos(paths)
        self._rendered = [(window_at(photos, size, count, seed, index) for index in itertools.count(self.next_index))]


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain_network, "WindowPool", PoolOfThisProcess)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_interrupted_and_resumed_equals_uninterrupted(photos: Path, tmp_path: Path) -> None:
    whole = run(photos, tmp_path / "whole.safetensors")
    first = run(photos, tmp_path / "parts.safetensors", minutes=0.0)
    rest = run(photos, tmp_path / "parts.safetensors")
    assert [report.step for report in whole] == [1, 2, 3]
    assert [report.step for report in first + rest] == [1, 2, 3]
    one, two = load_file(tmp_path / "whole.safetensors"), load_file(tmp_path / "parts.safetensors")
    assert all(torch.equal(one[key], two[key]) for key in one)
    Lite().load_state_dict(one)
    with safe_open(tmp_path / "whole.safetensors", "pt") as file:
        assert file.metadata()["architecture"] == "lite"
        assert file.metadata()["step"] == "3"


def test_a_photograph_named_twice_is_one(photos: Path, tmp_path: Path) -> None:
    """Of two photographs one is trained on, the other tells how good it is."""
    one = photos / "0.png"
    with pytest.raises(InputFault, match="found 1 photograph,"):
        pretrain([one, one], tmp_path / "w.safetensors", CONFIG, workers=1)


def test_from_python_it_trains_when_called(photos: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    last = pretrain(str(photos), str(weights), CONFIG, precision="fp32", device="cpu", workers=1)
    assert last is not None
    assert last.step == CONFIG.steps
    assert weights.exists()


@pytest.mark.usefixtures("in_this_process")
def test_what_was_learned_long_before_a_validation_is_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain_network, "KEEP_EVERY", 0.0)
    settings = {"precision": "fp32", "device": "cpu", "workers": 1, "every": 1}
    broken_off = pretrain_steps(photos, tmp_path / "w.safetensors", CONFIG, **settings)  # type: ignore[arg-type]
    assert [next(broken_off).step for _ in range(2)] == [1, 2]
    broken_off.close()
    assert [report.step for report in run(photos, tmp_path / "w.safetensors")] == [3]


@pytest.mark.usefixtures("in_this_process")
def test_two_trainings_of_the_same_weights_do_not_mix(photos: Path, tmp_path: Path) -> None:
    first = pretrain_steps(
        photos, tmp_path / "w.safetensors", CONFIG, precision="fp32", device="cpu", workers=1, every=1
    )
    assert next(first).step == 1
    with pytest.raises(UsageFault, match="another selfhvd trains"):
        run(photos, tmp_path / "w.safetensors")
    run(photos, tmp_path / "other.safetensors", minutes=0.0)
    first.close()
    run(photos, tmp_path / "w.safetensors", minutes=0.0)
    assert not list(tmp_path.glob("*.lock"))


def test_a_batch_that_is_no_number_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = Pretraining.begin(CONFIG, choose_compute("cpu", "fp32"), tmp_path / "none", None, Origin("", ""))
    before = {key: value.clone() for key, value in training.network.state_dict().items()}
    pictures = torch.rand(2, 3, 64, 64), torch.rand(2, 2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    flows = torch.zeros(2, 2, 2, 64, 64)
    flows[0, 0, 0, 3, 3] = torch.nan
    training.advance((*pictures, flows))
    assert training.step == 1
    assert all(torch.equal(before[key], value) for key, value in training.network.state_dict().items())
    assert "no number" in caplog.text
    training.advance((*pictures, torch.zeros_like(flows)))
    assert not all(torch.equal(before[key], value) for key, value in training.network.state_dict().items())


@pytest.mark.usefixtures("in_this_process")
def test_the_flow_can_be_kept_while_the_rest_learns(photos: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, keep_flow=True)
    torch.manual_seed(1)
    start = Lite(sources=2).state_dict()
    run(photos, tmp_path / "w.safetensors", config=config, start=start)
    after = load_file(tmp_path / "w.safetensors")
    moved = {key for key, value in start.items() if not torch.equal(value.half(), after[key])}
    assert "residual.weight" in moved
    assert not [key for key in moved if key.startswith(("flow_", "encoder."))]
    with pytest.raises(UsageFault, match="--init"):
        run(photos, tmp_path / "new.safetensors", config=config)


def test_large_windows_are_restored_at_every_size_that_large_frames_are() -> None:
    assert (PretrainConfig(crop=192).halvings, PretrainConfig(crop=256).halvings) == (1, 2)
    torch.manual_seed(0)
    network = Lite()
    target, sources = torch.rand(1, 3, 256, 256), torch.rand(1, 2, 3, 256, 256)
    results = cascade(network, target, sources, 2)
    assert [result.frames.shape[-1] for result in results] == [64, 128, 256]
    for result in results:
        network.zero_grad(set_to_none=True)
        result.frames.square().mean().backward(retain_graph=True)
        assert network.mix.weight.grad is not None
        assert network.mix.weight.grad.abs().sum() > 0


@pytest.mark.usefixtures("in_this_process")
def test_a_checkpoint_of_another_training_is_not_continued(photos: Path, tmp_path: Path) -> None:
    target = tmp_path / "w.safetensors"
    run(photos, target, minutes=0.0)
    kept = (tmp_path / "w.safetensors.checkpoint").read_bytes()
    more = tmp_path / "more"
    shutil.copytree(photos, more)
    shutil.copy(photos / "0.png", more / "3.png")
    refusals: dict[str, dict[str, Any]] = {
        "this run asks for": {"config": replace(CONFIG, crop=96)},
        "made with other photographs": {"photos": more},
        "made with other weights of --init": {"start": Lite(sources=2).state_dict()},
    }
    for said, others in refusals.items():
        with pytest.raises(InputFault, match=f"{said}.*--overwrite"):
            run(**{"photos": photos, "weights": target, **others})
        assert (tmp_path / "w.safetensors.checkpoint").read_bytes() == kept
    # The same photographs elsewhere are the same; and with overwrite another training begins.
    shutil.copytree(photos, tmp_path / "moved")
    assert [report.step for report in run(tmp_path / "moved", target, minutes=0.0)] == [2]
    assert [report.step for report in run(more, target, minutes=0.0, overwrite=True)] == [1]


@pytest.mark.usefixtures("in_this_process")
def test_a_checkpoint_from_before_there_were_hashes_still_goes_on(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "w.safetensors", minutes=0.0)
    path = tmp_path / "w.safetensors.checkpoint"
    saved = load_checkpoint(path)
    del saved["origin"]
    save_checkpoint(path, saved)
    assert [report.step for report in run(photos, tmp_path / "w.safetensors", minutes=0.0)] == [2]
    assert "origin" in load_checkpoint(path)


@pytest.mark.parametrize(
    "foreign", [{"identity": "of an adaptation", "trainer": {}}, [1, 2], {"config": {"loss": 1}}]
)
def test_a_foreign_checkpoint_is_told_from_one_of_ours(foreign: object, photos: Path, tmp_path: Path) -> None:
    torch.save(foreign, tmp_path / "w.safetensors.checkpoint")
    with pytest.raises(InputFault, match=r"no checkpoint of selfhvd.*-o"):
        run(photos, tmp_path / "w.safetensors")


@pytest.mark.usefixtures("in_this_process")
def test_weights_that_no_checkpoint_belongs_to_are_not_overwritten(photos: Path, tmp_path: Path) -> None:
    target = tmp_path / "w.safetensors"
    target.write_bytes(b"of somebody else")
    with pytest.raises(UsageFault, match="--overwrite"):
        run(photos, target, minutes=0.0)
    assert target.read_bytes() == b"of somebody else"
    run(photos, target, minutes=0.0, overwrite=True)
    assert load_file(target)


def test_parameters_of_another_network_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsFault, match="--init: no weights of lite"):
        run(photos, tmp_path / "w.safetensors", start={"conv.weight": torch.zeros(3)})


@pytest.mark.usefixtures("in_this_process")
def test_a_large_seed_is_one_as_well(photos: Path, tmp_path: Path) -> None:
    for seed in (2**64, 10**30):
        config = replace(CONFIG, seed=seed, steps=1)
        assert run(photos, tmp_path / f"{seed}.safetensors", config=config)[0].step == 1
        assert run(photos, tmp_path / f"{seed}.safetensors", config=replace(config, steps=2))[0].step == 2


def test_too_few_photographs(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="no such folder"):
        run(tmp_path / "nothing", tmp_path / "w.safetensors")
    with pytest.raises(InputFault, match="found 0 photographs"):
        run(tmp_path, tmp_path / "w.safetensors")


def test_settings_that_cannot_be(photos: Path) -> None:
    with pytest.raises(UsageFault, match="--crop 100"):
        PretrainConfig(crop=100)
    with pytest.raises(UsageFault, match="--balance 2"):
        PretrainConfig(balance=2.0)
    with pytest.raises(UsageFault, match="at least 1"):
        PretrainConfig(batch=0)
    for rate in (0.0, -1e-3, float("nan"), float("inf")):
        with pytest.raises(UsageFault, match="--rate"):
            PretrainConfig(rate=rate)
    with pytest.raises(UsageFault, match="--seed -1"):
        PretrainConfig(seed=-1)


def test_photographs_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match=r"(gone|too)\.png: cannot be read"):
        run([tmp_path / "gone.png", tmp_path / "too.png"], tmp_path / "w.safetensors")  # type: ignore[arg-type]
