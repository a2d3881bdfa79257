"""Scene cuts: a new shot is seen, shake, blur, flashes and exposure changes are not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from restore_stand_ins import texture
from torch import Tensor

from selfhvd_cli.restore.scene_cuts import number_scenes


def scene_numbers(frames: Tensor) -> list[int]:
    return [number for number, _ in number_scenes(list(frames), lambda frame: frame)]


def shaken(seed: int, count: int = 8) -> Tensor:
    """Views of one large picture whose place jumps by up to a tenth of the view, some of them blurred."""
    picture = texture(1, 140, 200, seed)
    generator = torch.Generator().manual_seed(seed)
    views = []
    for index in range(count):
        top, left = (int(torch.randint(20, 32, (), generator=generator)) for _ in range(2))
        view = picture[..., top : top + 90, left : left + 128]
        if index % 3 == 1:
            view = F.avg_pool2d(F.pad(view, (7, 7, 0, 0), mode="replicate"), (1, 15), stride=1)
        views.append(view)
    return torch.cat(views)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shake_and_blur_are_no_cut(seed: int) -> None:
    assert scene_numbers(shaken(seed)) == [0] * 8


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_a_new_shot_is_a_cut(seed: int) -> None:
    assert scene_numbers(torch.cat([shaken(seed), shaken(seed + 10)])) == [0] * 8 + [1] * 8


@pytest.mark.parametrize("at", [1, 4, 7])
@pytest.mark.parametrize("lasts", [1, 2])
def test_a_flash_is_no_cut(at: int, lasts: int) -> None:
    frames = shaken(7)
    frames[at : at + lasts] = (frames[at : at + lasts] * 0.1 + 0.95).clamp(0, 1)
    assert scene_numbers(frames) == [0] * 8


def test_a_change_of_exposure_is_no_cut() -> None:
    frames = shaken(8) * torch.tensor([1.0, 1.0, 1.0, 0.4, 0.4, 0.4, 0.4, 0.4]).view(-1, 1, 1, 1)
    assert scene_numbers(frames) == [0] * 8


def test_noise_in_the_dark_is_no_cut() -> None:
    frames = torch.rand(6, 3, 90, 128, generator=torch.Generator().manual_seed(1)) * 0.05
    assert scene_numbers(frames) == [0] * 6


def test_the_first_picture_after_black_is_a_cut() -> None:
    frames = torch.cat([torch.zeros(4, 3, 90, 128), shaken(9)])
    assert scene_numbers(frames) == [0] * 4 + [1] * 8


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_shortest_clips_have_one_scene(count: int) -> None:
    assert scene_numbers(shaken(1)[:count]) == [0] * count


def test_real_handheld_clips_joined_make_two_scenes(shared) -> None:
    paths = [shared / "media/hvd/008_blurry.mp4", shared / "media/sharp/sam2_01_dog.mp4"]
    clips = [small_frames(path, 12) for path in paths]
    assert scene_numbers(torch.cat(clips)) == [0] * 12 + [1] * 12


def small_frames(path, count: int) -> Tensor:
    from itertools import islice

    import av

    with av.open(str(path)) as container:
        pictures = [
            torch.from_numpy(frame.reformat(width=128, height=96).to_ndarray(format="rgb24"))
            for frame in islice(container.decode(video=0), count)
        ]
    return torch.stack(pictures).permute(0, 3, 1, 2).float() / 255
