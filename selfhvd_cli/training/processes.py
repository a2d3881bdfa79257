"""Several processes that train one network together, or one that trains it alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module

import torch
import torch.distributed as distributed
from torch import Tensor

from selfhvd_cli.device import Compute


@dataclass(frozen=True)
class Processes:
    """This process's place among those that train together."""

    rank: int = 0
    """Its number."""

    count: int = 1
    """How many there are."""

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and decides."""
        return self.rank == 0

    def mean_of_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the processes; one exchange for all of them."""
        if self.count == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in trained:
            # Every process must send the same amount, also where its crops gave a part no gradient.
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        together /= self.count
        for gradient, mean in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes."""
        if self.count > 1:
            values = values.clone()
            distributed.all_reduce(values)
            values /= self.count
        return values

    def smallest(self, values: list[float], device: torch.device) -> list[float]:
        """The smallest of each value over the processes, for what one has not room for none may do."""
        return self._exchanged(
            values, device, lambda shared: distributed.all_reduce(shared, distributed.ReduceOp.MIN)
        )

    def decided(self, values: list[float], device: torch.device) -> list[float]:
        """The leading process's values, for clocks differ and all must go the same way."""
        return self._exchanged(values, device, lambda shared: distributed.broadcast(shared, 0))

    def _exchanged(
        self, values: list[float], device: torch.device, exchange: Callable[[Tensor], object]
    ) -> list[float]:
        if self.count == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device="cpu" if device.type == "cpu" else device)
        exchange(shared)
        return [float(value) for value in shared]


@contextmanager
def processes_of_torchrun(compute: Compute) -> Iterator[tuple[Processes, Compute]]:
    """This process's place under torchrun, and the device that is its own; alone without torchrun."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or "RANK" not in os.environ:
        yield Processes(), compute
        return
    # The defaults of its functions are the group of the moment in which it is imported, which an optimizer does at
    # its first step. That would keep gloo's threads past the end of the group. They let go of a tensor somewhat after
    # its exchange, and one that does so while Python is leaving aborts the process.
    import_module("torch.distributed.nn.functional")
    if compute.device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        compute = replace(compute, device=device)
    distributed.init_process_group("nccl" if compute.device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), count), compute
    finally:
        distributed.destroy_process_group()
