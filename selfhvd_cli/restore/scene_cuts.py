"""Scene cuts: where one shot ends and another begins, told apart from shake, blur and flashes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray

Item = TypeVar("Item")

GRID = (18, 32)
"""Rows and columns of the thumbnails that are compared: blur and noise are gone at this size."""

LARGEST_SHIFT = (4, 7)
"""Thumbnail pixels (a fifth of each side) a camera may move between frames and still show the same scene."""

SPECTRUM = (2 * GRID[0], 2 * GRID[1])
"""Size in which thumbnails are transformed: what is shifted out of one does not come in again on its other side."""

SAME_SCENE = 0.45
"""Correlation at the best shift above which two frames show the same scene.

Over 1 775 pairs of neighbours in 59 phone and test clips, 0.3 % stay below 0.4 and 0.5 alike; over 1 500 pairs from
different clips, 1.5 % and 0.4 % of those with different contents lie above. Without the band-pass it would be 14 %
above 0.5: skies and floors look alike.
"""

LOOK = 3
"""Frames on each side of a cut that must all differ from those of the other side."""

FLAT = 0.003
"""Standard deviation of a band-passed thumbnail below which there is nothing to correlate (black, a covered lens)."""

FLAT_STEP = 0.1
"""Change of the mean colour that counts as a cut when one of the frames is flat."""


def thumbnail(frame: Tensor) -> Tensor:
    """Grey thumbnail and its mean colour in one `[GRID + 3]` vector, from `[3, H, W]`."""
    height, width = frame.shape[-2:]
    step = max(1, min(height // (2 * GRID[0]), width // (2 * GRID[1])))
    small = F.adaptive_avg_pool2d(F.avg_pool2d(frame.float().unsqueeze(0), step), GRID)
    return torch.cat([gray(small).flatten(), small.mean((0, 2, 3))]).cpu()


def is_other_scene(first: Tensor, second: Tensor) -> bool:
    """Whether two thumbnails show different scenes, whatever the shift, brightness and contrast between them."""
    size = GRID[0] * GRID[1]
    one, two = _details(first[:size]), _details(second[:size])
    if min(one.std().item(), two.std().item()) < FLAT:
        return bool((first[size:] - second[size:]).abs().max() > FLAT_STEP)
    return best_correlation(one, two) < SAME_SCENE


def _details(small: Tensor) -> Tensor:
    """What stands out from its surroundings: a thumbnail less its local mean."""
    picture = small.view(1, 1, *GRID)
    return (picture - F.avg_pool2d(F.pad(picture, (3, 3, 3, 3), mode="replicate"), 7, stride=1))[0, 0]


def best_correlation(one: Tensor, two: Tensor) -> float:
    """Largest normalised cross-correlation of two `GRID` pictures over all shifts, each over its own overlap."""
    # By NumPy, whose transforms stay in this thread: those of torch wait for its other threads, which beside a busy
    # encoder took 25 ms a frame.
    whole = np.ones(GRID, np.float32)
    each = [np.stack((details, details * details, whole)) for details in (one.numpy(), two.numpy())]
    at_one, at_two = (np.fft.rfft2(pictures, SPECTRUM) for pictures in each)
    products = at_one[[0, 0, 1, 2, 2, 2]] * at_two[[0, 2, 2, 0, 1, 2]].conj()
    rows, columns = LARGEST_SHIFT
    shifted = np.roll(np.fft.irfft2(products, SPECTRUM), (rows, columns), (1, 2))
    both, sum_one, squares_one, sum_two, squares_two, count = shifted[:, : 2 * rows + 1, : 2 * columns + 1]
    spread_one = np.maximum(squares_one - sum_one**2 / count, 1e-6)
    spread_two = np.maximum(squares_two - sum_two**2 / count, 1e-6)
    return float(((both - sum_one * sum_two / count) / np.sqrt(spread_one * spread_two)).max())


def number_scenes(frames: Iterable[Item], picture: Callable[[Item], Tensor]) -> Iterator[tuple[int, Item]]:
    """Pair every item with the number of its scene, counted from 0; reads `LOOK` frames ahead.

    A cut lies before a frame when none of the last `LOOK` frames of the scene shows what this one or those that
    follow show: so an intruder (a flash, a glitch, a hand) makes no cut, neither where it comes nor where it goes.

    Args:
        frames: the items, in order.
        picture: the `[3, H, W]` picture of an item.
    """
    source = iter(frames)
    ahead: deque[tuple[Tensor, Item]] = deque()
    behind: deque[Tensor] = deque(maxlen=LOOK)
    scene = 0
    while True:
        for item in islice(source, LOOK - len(ahead)):
            ahead.append((thumbnail(picture(item)), item))
        if not ahead:
            return
        if behind and all(is_other_scene(old, new) for old in reversed(behind) for new, _ in ahead):
            scene += 1
            behind.clear()
        shown, item = ahead.popleft()
        behind.append(shown)
        yield scene, item
