"""An imaginary device: tensors that say they lie elsewhere, compute on the CPU, and refuse what a GPU refuses.

Machines without a GPU run the branches meant for one with it, and learn where a tensor was left behind: on a real
device an operation whose operands lie on two devices fails, as here. As on an Apple GPU there is no float64, and
adaptive pooling only to sizes that divide the picture's (torch 2.14, pytorch/pytorch#96056).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
"""The only name that torch knows for a device which needs no driver."""

NUMBER = torch.ops.aten._local_scalar_dense.default

COPY = torch.ops.aten.copy_.default

POOL = torch.ops.aten._adaptive_avg_pool2d.default


class Distant(Tensor):
    """A tensor of the imaginary device; `near` holds its values."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> Distant:
        if near.dtype == torch.float64:
            raise TypeError("the device has no float64")
        distant = Tensor._make_wrapper_subclass(
            cls, near.shape, near.stride(), near.storage_offset(), dtype=near.dtype, device=DEVICE
        )
        distant.near = near
        return distant

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Distant({self.near!r})"

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


class Imaginary(TorchDispatchMode):
    """While it lasts, tensors made on `DEVICE` are distant."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


class Numbers(TorchFunctionMode):
    """Tensors made of Python numbers and the other way round, which torch copies past the dispatcher."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is Tensor.tolist:
            return near(args[0]).tolist()
        if function is Tensor.new_tensor:
            kwargs = {"dtype": args[0].dtype, "device": args[0].device, **kwargs}
            function, args = torch.tensor, args[1:]
        if function in (torch.tensor, torch.as_tensor) and is_distant(kwargs.get("device")):
            return function(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return function(*args, **kwargs)


@contextmanager
def imaginary_device() -> Iterator[torch.device]:
    """The device, which exists for so long. It knows no autocast: what is computed in float32 is compared exactly."""
    autocast, enabled = torch.autocast, torch.is_autocast_enabled

    def autocast_elsewhere(kind: str, *args: Any, **kwargs: Any) -> Any:
        return nullcontext() if is_distant(kind) else autocast(kind, *args, **kwargs)

    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with (
            patch.object(torch, "autocast", autocast_elsewhere),
            patch.object(torch, "is_autocast_enabled", lambda kind: not is_distant(kind) and enabled(kind)),
            # Its tensors cannot be wrapped.
            patch.object(torch, "inference_mode", lambda mode=True: torch.no_grad() if mode else nullcontext()),
            Imaginary(),
            Numbers(),
        ):
            yield DEVICE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
    distant = any(isinstance(each, Distant) for each in tensors)
    wanted = kwargs.get("device")
    if wanted is not None:
        distant = is_distant(wanted)
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif function is COPY:
        distant = isinstance(args[0], Distant)
    elif distant and function is not NUMBER:
        for each in tensors:
            if not isinstance(each, Distant) and each.dim():
                raise RuntimeError(f"{function}: operands on {DEVICE} and on the CPU, {tuple(each.shape)}")
    if (
        distant
        and function is POOL
        and any(side % cells for side, cells in zip(args[0].shape[-2:], args[1], strict=True))
    ):
        raise RuntimeError(f"adaptive pooling of {tuple(args[0].shape)}: sizes must be divisible by {args[1]}")
    result = function(*tree_map(near, args), **tree_map(near, kwargs))
    if not distant:
        return result
    given = {id(near(each)): each for each in tensors}
    return tree_map(lambda each: given.get(id(each), wrapped(each)), result)


def is_distant(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


def wrapped(value: Any) -> Any:
    return Distant(value) if isinstance(value, Tensor) else value


def near(value: Any) -> Any:
    return value.near if isinstance(value, Distant) else value
