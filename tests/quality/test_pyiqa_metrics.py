"""pyiqa's metrics: pyiqa's own numbers, with weights from a Hub on loopback through our store and no other way."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from made_clips import texture, write_folder

sys.path.insert(0, str(Path(__file__).parents[1] / "weights"))
from weights_stand_ins import HubSite, Site, running

from selfhvd_cli.errors import EnvironmentFault, WeightsFault
from selfhvd_cli.quality.pyiqa_metrics import build
from selfhvd_cli.score_video import score
from selfhvd_cli.weights import spec
from selfhvd_cli.weights.signatures import SIGNATURES, Signature, identify

REPO = "chaofengc/IQA-PyTorch-Weights"
CLIP_REPO = "timm/resnet50_clip.openai"
CPU = torch.device("cpu")
NEEDING_NO_WEIGHTS = (
    "piqe", "entropy", "psnr", "psnry", "ssim", "ssimc", "ms_ssim", "cw_ssim", "gmsd", "nlpd", "vsi", "fsim", "vif",
)  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubSite]:
    """A Hub with its CDN, an empty store, and a manifest whose metrics have no published hash."""
    cdn = Site()
    server = HubSite(cdn)
    for name in ("SELFHVD_OFFLINE", "HF_HUB_OFFLINE", "SELFHVD_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    places = {"SELFHVD_WEIGHTS_DIR": "store", "SELFHVD_DATA_DIR": "data", "HF_HOME": "hf", "TORCH_HOME": "torch"}
    for name, folder in places.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    rows = "".join(
        f'[[weights]]\nname = "{name}"\nkind = "metric"\narchitecture = "{name}"\nsource = "hub"\n'
        f'repo = "{REPO}"\nrevision = "main"\nfilename = "{filename}"\n'
        for name, filename in (("musiq", "musiq_koniq_ckpt-e95806b9.pth"), ("maniqa", "ckpt_koniq10k.pt"))
    )
    rows += (
        '[[weights]]\nname = "clip_rn50"\nkind = "metric"\narchitecture = "clip_rn50"\nsource = "hub"\n'
        f'repo = "{CLIP_REPO}"\nrevision = "main"\nfilename = "open_clip_model.safetensors"\n'
    )
    own = tmp_path / "manifest.toml"
    own.write_text(rows, encoding="utf-8")
    known = spec.read_manifest(own)
    for module in [module for key, module in sys.modules.items() if key.startswith("selfhvd_cli")]:
        if getattr(module, "manifest", None) is spec.manifest and module is not spec:
            monkeypatch.setattr(module, "manifest", lambda: known)
    with running(server, cdn):
        yield server


def picture(seed: int = 0, width: int = 96, height: int = 72) -> torch.Tensor:
    return torch.from_numpy(texture(width, height, seed)).permute(2, 0, 1).float() / 255


def as_file(state: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save({"params": state}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", NEEDING_NO_WEIGHTS)
def test_metrics_without_weights_agree_with_pyiqa(name: str) -> None:
    import pyiqa

    theirs = pyiqa.create_metric(name, device=CPU)
    one = picture(0, 192, 176)
    other = (one + 0.1 * picture(1, 192, 176)).clamp(0, 1)
    ours = build(name, CPU, offline=True)
    both = (one, other) if theirs.metric_mode == "FR" else (one,)
    torch.manual_seed(0)  # some draw random projections, anew at every call
    expected = float(theirs(*(each[None] for each in both)))
    assert ours(*both) == pytest.approx(expected, rel=1e-6)


def light(network: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Weights of the real shapes; of large tensors a file holds one number, and half a gigabyte becomes a few MB."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():
            return value
        return torch.randn(value.shape if value.numel() < 10_000 else 1, generator=generator) * 0.02

    return {key: drawn(value).expand(value.shape) for key, value in network.state_dict().items()}


def test_musiq_from_the_hub_equals_pyiqa_with_the_same_file(hub: HubSite, tmp_path: Path) -> None:
    import pyiqa
    from pyiqa.archs.musiq_arch import MUSIQ

    state = light(MUSIQ(num_class=1, pretrained=False), seed=1)
    hub.publish(REPO, "musiq_koniq_ckpt-e95806b9.pth", as_file(state))
    torch.save(state, tmp_path / "musiq.pth")
    clip = write_folder(tmp_path / "clip", [texture(96, 72)])
    (found,) = score(clip, metrics="musiq").videos[0].scores
    theirs = pyiqa.create_metric("musiq", device=CPU, pretrained_model_path=str(tmp_path / "musiq.pth"))
    assert found.values[0] == pytest.approx(float(theirs(picture()[None])), rel=1e-5)
    hub.log.clear()
    again = score(clip, metrics="musiq", offline=True)
    assert again.videos[0].scores[0].values == found.values
    assert hub.log == [], "weights in the store are not fetched again"


def test_maniqa_from_the_hub_with_weights_of_the_real_shapes(
    hub: HubSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm
    from pyiqa.archs.maniqa_arch import MANIQA
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    make = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False: make(name, pretrained=False))
    options = DEFAULT_CONFIGS["maniqa"]["metric_opts"]
    monkeypatch.setitem(options, "test_sample", 1)  # a crop instead of twenty
    state = light(MANIQA(**{**options, "type": None, "pretrained": False}), seed=2)
    hub.publish(REPO, "ckpt_koniq10k.pt", as_file(state))
    used: dict[str, torch.Tensor] = {}
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _: used.update(module.state_dict()) if isinstance(module, MANIQA) else None
    )
    (found,) = score(write_folder(tmp_path / "clip", [texture(224, 224)]), metrics="maniqa").videos[0].scores
    hook.remove()
    assert found.values[0] > 0
    assert used.keys() == state.keys()
    assert all(torch.equal(used[key], value) for key, value in state.items())


def test_niqe_from_the_hub_equals_pyiqa_with_the_same_file(hub: HubSite, tmp_path: Path) -> None:
    import pyiqa
    import scipy.io

    generator = np.random.default_rng(0)
    spread = generator.normal(size=(36, 36))
    buffer = io.BytesIO()
    scipy.io.savemat(
        buffer, {"mu_prisparam": generator.normal(size=(1, 36)), "cov_prisparam": spread @ spread.T + np.eye(36)}
    )
    hub.publish(REPO, "niqe_modelparameters.mat", buffer.getvalue())
    own = tmp_path / "own.mat"
    own.write_bytes(buffer.getvalue())
    frame = picture(0, 192, 192)
    theirs = pyiqa.create_metric("niqe", device=CPU, pretrained_model_path=str(own))
    assert build("niqe", CPU)(frame) == pytest.approx(float(theirs(frame[None])), rel=1e-6)
    hub.log.clear()
    assert build("niqe", CPU, offline=True)(frame) == pytest.approx(float(theirs(frame[None])), rel=1e-6)
    assert hub.log == []


def small_clip() -> dict[str, torch.Tensor]:
    """CLIP's ResNet with all its keys, an eighth as wide; pyiqa reads the widths off the tensors."""
    from pyiqa.archs.clip_model import CLIP

    torch.manual_seed(3)
    network = CLIP(64, 224, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1)
    for value in network.buffers():
        if value.is_floating_point() and value.dim() == 1:
            value.uniform_(0.5, 1.5)
    return {key: value.half().float() for key, value in network.state_dict().items()}


def test_clip_iqa_from_the_hub_equals_pyiqa_with_the_same_numbers(
    hub: HubSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiqa.archs.clip_model import build_model
    from safetensors.torch import save

    monkeypatch.setitem(SIGNATURES, "clip_rn50", Signature({"visual.attnpool.positional_embedding": None}))
    state = small_clip()
    hub.publish(CLIP_REPO, "open_clip_model.safetensors", save({key: value.clone() for key, value in state.items()}))
    (found,) = score(write_folder(tmp_path / "clip", [texture(224, 224)]), metrics="clipiqa").videos[0].scores
    from pyiqa.archs import clipiqa_arch

    monkeypatch.setattr(clipiqa_arch, "load", lambda name, device: build_model(dict(state)).float())
    theirs = clipiqa_arch.CLIPIQA().eval()
    with torch.no_grad():
        expected = float(theirs(picture(0, 224, 224)[None]))
    assert found.values[0] == pytest.approx(expected, rel=1e-5)
    assert 0 < found.values[0] < 1
    hub.log.clear()
    assert build("clipiqa", CPU, offline=True)(picture(0, 224, 224)) == pytest.approx(expected, rel=1e-5)
    assert hub.log == [], "weights in the store are not fetched again"


def test_clips_real_shapes_are_recognised() -> None:
    from pyiqa.archs.clip_model import CLIP

    with torch.device("meta"):
        network = CLIP(1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert identify(shapes) == "clip_rn50"
    assert len(shapes) - sum("num_batches" in key for key in shapes) == SIGNATURES["clip_rn50"].keys
    assert all(shapes[key] == shape for key, shape in SIGNATURES["clip_rn50"].marks.items())


def test_clip_programs_are_never_run(hub: HubSite) -> None:
    with pytest.raises(WeightsFault, match=r"CLIP ViT-.*does not run"):
        build("clipiqa+_vitL14_512", CPU)
    assert hub.log == []


def test_niqe_joins_the_defaults_once_its_numbers_are_here(hub: HubSite, tmp_path: Path) -> None:
    import scipy.io

    clip = write_folder(tmp_path / "clip", [texture(192, 192)])
    before = score(clip, offline=True)
    assert any("--metrics niqe fetches them once" in note for note in before.notes)
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"mu_prisparam": np.ones((1, 36)), "cov_prisparam": np.eye(36)})
    hub.publish(REPO, "niqe_modelparameters.mat", buffer.getvalue())
    score(clip, metrics="niqe")
    assert score(clip, offline=True).videos[0].of("niqe") is not None


def test_another_file_than_the_hub_promised_is_refused(hub: HubSite) -> None:
    hub.publish(REPO, "niqe_modelparameters.mat", b"MATLAB 5.0 MAT-file" + bytes(200))
    (blob,) = hub.cdn.files.values()
    blob.content = b"x" * len(blob.content)
    with pytest.raises(WeightsFault, match="refused"):
        build("niqe", CPU)


def test_pyiqa_never_connects_by_itself(hub: HubSite, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address))
    for name in ("dbcnn", "brisque", "niqe", "dists"):
        with pytest.raises(WeightsFault):
            build(name, CPU, offline=True)
    with pytest.raises((WeightsFault, EnvironmentFault)):
        build("qualiclip", CPU, offline=True)
    assert reached == []
    assert hub.log == []


def test_pyiqa_is_left_as_it_was() -> None:
    from pyiqa.utils import download_util

    build("piqe", CPU, offline=True)
    with pytest.raises(Exception, match=r"refused|unreachable|resolve|127\.0\.0\.1"):
        download_util.load_file_from_url("http://127.0.0.1:9/none.pth", model_dir="/nonexistent-of-selfhvd")
