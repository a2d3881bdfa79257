"""Several processes that train one network together, or one that trains it alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor

_SENT: deque[Tensor] = deque(maxlen=2)
"""What was exchanged last. gloo lets go of it somewhat later, in threads of its own. Were nobody else to hold it, a
thread would wait for Python to free it, and end the process (std::terminate) where Python is just leaving."""


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
        _SENT.append(together)
        distributed.all_reduce(together)
        together /= self.count
        for gradient, mean in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes."""
        if self.count > 1:
            values = values.clone()
            _SENT.append(values)
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
        _SENT.append(shared)
        exchange(shared)
        return [float(value) for value in shared]
