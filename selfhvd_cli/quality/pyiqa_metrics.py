"""pyiqa's metrics with their weights from our store; pyiqa itself never touches the network."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from selfhvd_cli.errors import EnvironmentFault, SelfHVDError, WeightsFault
from selfhvd_cli.weights.published_file import PLAIN, published_file
from selfhvd_cli.weights.pull import is_offline
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.spec import WeightSpec, manifest
from selfhvd_cli.weights.store import find, load_state_dict, resolve

HUB_ADDRESS = re.compile(r"https?://[^/]+/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")

CLIP_WEIGHTS: Mapping[str, str] = {"RN50": "clip_rn50"}
"""CLIP's networks as pyiqa names them → manifest names. OpenAI publishes them as programs (TorchScript), which are
never run here; the manifest has the same numbers as safetensors."""

_building = threading.Lock()
_refused: ContextVar[list[str] | None] = ContextVar("refused", default=None)
"""Addresses that were refused; None where connections are allowed."""

_supply: ContextVar[_Supply | None] = ContextVar("supply", default=None)
"""Answers pyiqa's requests while one of our metrics is being built; None leaves pyiqa as it is."""

_guarded = False


class NetworkRefused(Exception):
    """Something tried to connect while a metric was being built."""


def build(name: str, device: torch.device, offline: bool = False) -> Callable[..., float]:
    """A metric of pyiqa as a function of `[3, H, W]` pictures in [0, 1] (and a reference, where it takes one).

    Args:
        name: as in `pyiqa.list_models()`.
        offline: never fetch weights.

    Raises:
        WeightsFault: weights are absent and cannot be fetched, or only pyiqa itself could.
        EnvironmentFault: pyiqa lacks a package for this metric.
    """
    import pyiqa

    logging.getLogger("pyiqa").setLevel(logging.WARNING)
    with _building, _weights_from_store(name, offline), _without_network() as refused:
        try:
            metric = pyiqa.create_metric(name, device=device)
        except SelfHVDError:
            raise
        except ModuleNotFoundError as fault:
            raise EnvironmentFault(
                f"{name}: pyiqa needs a package that is not installed here: pip install {fault.name}"
            ) from fault
        except Exception as fault:
            if not refused:
                raise
            raise WeightsFault(
                f"{name}: pyiqa would fetch weights from {refused[0]} by itself, which selfhvd does not allow; "
                f"build it once with pyiqa alone, so that its cache has them: "
                f"python -c \"import pyiqa; pyiqa.create_metric('{name}')\""
            ) from fault

    def measure(picture: Tensor, reference: Tensor | None = None) -> float:
        pictures = [one.unsqueeze(0).to(device).clamp(0, 1) for one in (picture, reference) if one is not None]
        torch.manual_seed(0)  # some draw random crops
        with torch.no_grad():
            return float(metric(*pictures).float().mean())

    return measure


@contextmanager
def _weights_from_store(name: str, offline: bool) -> Iterator[None]:
    """While a metric is built, everything pyiqa would fetch comes from our store."""
    import timm
    from torchvision.models import WeightsEnum

    with _pkg_resources():
        _divert()
    supply = _Supply(name, offline)
    make = timm.create_model

    def create_model(*arguments: Any, **options: Any) -> nn.Module:
        if options.get("pretrained"):
            supply.blank_backbone = True
        return make(*arguments, **{**options, "pretrained": False})

    def state_of(weights: Any, *_: Any, **__: Any) -> Mapping[str, Tensor]:
        return supply.state(weights.url)

    token = _supply.set(supply)
    try:
        replacements = [(timm, "create_model", create_model), (WeightsEnum, "get_state_dict", state_of)]
        with _replaced(replacements), _pkg_resources():
            yield
    finally:
        _supply.reset(token)
    if supply.blank_backbone:
        raise WeightsFault(
            f"{name}: its backbone needs weights of its own from the Hub, which pyiqa would fetch by itself; "
            "selfhvd does not know them. Choose another metric."
        )


class _Supply:
    """Where the weights of the metric being built come from."""

    def __init__(self, name: str, offline: bool) -> None:
        self.name, self.offline = name, offline
        self.blank_backbone = False
        """A part was asked for with weights of its own, and has not been filled otherwise."""

    def load(self, net: nn.Module, address: str, strict: bool = True, weight_keys: str | None = None) -> None:
        """In place of pyiqa's `load_pretrained_network`."""
        state, own = self.state(str(address)), net.state_dict()
        # Training in parallel puts "module." before every key.
        named = {key if key in own else key.removeprefix("module."): value for key, value in state.items()}
        missing, unexpected = net.load_state_dict(named, strict=False)
        if strict and (missing or unexpected):
            raise WeightsFault(
                f"{self.name}: its weights do not fit ({len(missing)} keys missing, {len(unexpected)} unexpected); "
                f"they were made for another version of pyiqa."
            )
        if strict:  # every parameter came from there, the backbone's too
            self.blank_backbone = False

    def state(self, address: str) -> Mapping[str, Tensor]:
        """The state dict pyiqa would have downloaded from `address`."""
        return self._stored(self._reference(address))

    def clip(self, network: str) -> nn.Module:
        """In place of pyiqa's loading of CLIP: in float32, in eval mode."""
        from pyiqa.archs.clip_model import build_model

        reference = CLIP_WEIGHTS.get(network)
        if reference is None:
            raise WeightsFault(
                f"{self.name}: needs CLIP {network}, whose published file is a program that selfhvd does not run; "
                f"of CLIP there is {', '.join(CLIP_WEIGHTS)}. Choose another metric."
            )
        built: nn.Module = build_model(dict(self._stored(reference))).float().eval()
        return built

    def _stored(self, reference: str) -> Mapping[str, Tensor]:
        with _network_allowed():
            spec = parse_reference(reference)
            if isinstance(spec, WeightSpec) and is_offline(self.offline) and find(spec) is None:
                raise WeightsFault(
                    f"{self.name}: its weights are not on this machine, and the network is not to be used "
                    "(--offline, SELFHVD_OFFLINE or HF_HUB_OFFLINE). "
                    f"Where there is a network: selfhvd weights pull {reference}"
                )
            return load_state_dict(resolve(reference, offline=self.offline))

    def file(self, address: str) -> Path:
        """The file pyiqa would have downloaded from `address`."""
        reference = self._reference(address)
        if not reference.endswith(PLAIN):
            raise WeightsFault(
                f"{self.name}: pyiqa reads {address}, whose format may run code when opened; choose another metric."
            )
        with _network_allowed():
            return published_file(reference, offline=self.offline)

    def _reference(self, address: str) -> str:
        """What our store calls the file at an address: a manifest name, or its place on the Hub."""
        hub = HUB_ADDRESS.fullmatch(address)
        for spec in manifest().values():
            # pyiqa's repository mirrors files that the manifest takes from their authors.
            mirrored = hub is not None and spec.kind == "metric" and spec.filename == hub["file"]
            if mirrored or (spec.url and spec.url == address):
                return spec.name
        if hub is None:
            raise WeightsFault(
                f"{self.name}: needs {address}, which selfhvd does not know; choose another metric, or add the file "
                "to weights/manifest.toml."
            )
        return f"hf://{hub['repo']}/{hub['file']}"


def _divert() -> None:
    """Have pyiqa's modules, also those it imports later, ask `_supply` before they fetch; once is enough."""
    from pyiqa.archs import arch_util, clip_model
    from pyiqa.utils import download_util

    def load(net: nn.Module, model_path: str, *arguments: Any, **options: Any) -> None:
        supply = _supply.get()
        if supply is None:
            originals["load_pretrained_network"](net, model_path, *arguments, **options)
        else:
            supply.load(net, model_path, *arguments, **options)

    def fetch(url: str, *arguments: Any, **options: Any) -> str:
        supply = _supply.get()
        if supply is None:
            return str(originals["load_file_from_url"](url, *arguments, **options))
        return str(supply.file(url))

    def load_clip(name: str, *arguments: Any, **options: Any) -> Any:
        supply = _supply.get()
        return originals["load"](name, *arguments, **options) if supply is None else supply.clip(name)

    originals = {
        "load": clip_model.load,
        "load_pretrained_network": arch_util.load_pretrained_network,
        "load_file_from_url": download_util.load_file_from_url,
    }
    if getattr(originals["load_file_from_url"], "asks_selfhvd", False):
        return
    diverted: dict[str, Any] = {"load": load_clip, "load_pretrained_network": load, "load_file_from_url": fetch}
    fetch.asks_selfhvd = True  # type: ignore[attr-defined]
    for module in [module for key, module in sys.modules.items() if key.startswith("pyiqa")]:
        for name, original in originals.items():
            if getattr(module, name, None) is original:
                setattr(module, name, diverted[name])


@contextmanager
def _pkg_resources() -> Iterator[None]:
    """OpenAI's clip takes `packaging` out of pkg_resources and nothing else, which setuptools has given up."""
    if find_spec("pkg_resources") is not None:
        yield
        return
    import packaging.version

    stand_in = ModuleType("pkg_resources")
    stand_in.packaging = packaging  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in
    try:
        yield
    finally:
        sys.modules.pop("pkg_resources", None)


@contextmanager
def _replaced(replacements: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Attributes of modules for a while as given, where the module has them."""
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replacements if hasattr(owner, name)]
    try:
        for owner, name, value in replacements:
            if hasattr(owner, name):
                setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)


@contextmanager
def _without_network() -> Iterator[list[str]]:
    """Connections raise `NetworkRefused`; gives the list of addresses that were asked for."""
    global _guarded
    if not _guarded:
        sys.addaudithook(_refuse)  # it sees every connection of Python's, and cannot be removed
        _guarded = True
    addresses: list[str] = []
    token = _refused.set(addresses)
    try:
        yield addresses
    finally:
        _refused.reset(token)


@contextmanager
def _network_allowed() -> Iterator[None]:
    token = _refused.set(None)
    try:
        yield
    finally:
        _refused.reset(token)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    addresses = _refused.get()
    if addresses is not None:
        addresses.append(str(arguments[0] if event == "socket.getaddrinfo" else arguments[1]))
        raise NetworkRefused(f"no connection to {addresses[-1]} while a metric is built")
