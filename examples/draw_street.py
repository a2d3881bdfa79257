"""Draws the street that the example clip films: houses, signs, windows and cobbles, nothing photographed."""

import cv2
import numpy as np

SIGNS = ("BAKERY", "BOOKS & MAPS", "CAFE LUMEN", "BICYCLES", "FLOWERS", "RADIO REPAIR", "TEA HOUSE", "OPTICIAN")


def noise(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    small = rng.standard_normal((int(height / scale) + 2, int(width / scale) + 2)).astype(np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def draw_street(height: int = 1700, width: int = 1250, seed: int = 4) -> np.ndarray:
    """[height, width, 3] uint8 RGB."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    picture = (1 - rows) * np.float32([150, 190, 235]) + rows * np.float32([235, 225, 215])
    picture = np.repeat(picture, width, axis=1) + 9 * noise(rng, height, width, 180)[..., None]
    ground, left, signs = int(height * 0.78), 0, []
    while left < width:
        wide, top = int(rng.integers(230, 360)), int(rng.integers(120, 420))
        colour = np.float32(rng.uniform(95, 225, 3))
        wall = picture[top:ground, left : left + wide]
        wall[:] = colour + 7 * noise(rng, *wall.shape[:2], 1.5)[..., None]
        wall[::14, :] *= 0.86  # courses of brick
        cv2.fillPoly(
            picture,
            [np.int32([[left - 8, top], [left + wide // 2, top - 90], [left + wide + 8, top]])],
            tuple(map(float, colour * 0.45)),
        )
        for y in range(top + 40, ground - 230, 118):
            for x in range(left + 26, left + wide - 60, 82):
                cv2.rectangle(picture, (x, y), (x + 50, y + 76), (235, 232, 225), 5)
                pane = tuple(map(float, rng.uniform(25, 90) * np.float32([1, 1.1, 1.3])))
                cv2.rectangle(picture, (x + 3, y + 3), (x + 47, y + 73), pane, -1)
                cv2.line(picture, (x + 25, y), (x + 25, y + 76), (235, 232, 225), 3)
        board = (left + 14, ground - 190, left + wide - 14, ground - 140)
        cv2.rectangle(picture, board[:2], board[2:], tuple(map(float, colour * 0.3)), -1)
        signs.append((SIGNS[int(rng.integers(len(SIGNS)))], (board[0] + 10, board[3] - 14)))
        cv2.rectangle(picture, (left + 30, ground - 125), (left + 95, ground), (60, 45, 35), -1)
        cv2.rectangle(picture, (left + 110, ground - 125), (left + wide - 24, ground - 25), (40, 55, 70), -1)
        left += wide
    stones = picture[ground:]
    grain = 22 * noise(rng, *stones.shape[:2], 12) + 6 * noise(rng, *stones.shape[:2], 1)
    stones[:] = 120 + grain[..., None]
    for number, y in enumerate(range(0, height - ground, 26)):
        stones[y : y + 3] *= 0.6
        for x in range((number % 2) * 22, width, 44):
            stones[y : y + 26, x : x + 3] *= 0.6
    street = np.uint8(np.clip(picture, 0, 255))
    for text, place in signs:
        cv2.putText(street, text, place, cv2.FONT_HERSHEY_DUPLEX, 0.95, (245, 235, 200), 2, cv2.LINE_AA)
    return street


if __name__ == "__main__":
    cv2.imwrite("street.png", draw_street()[:, :, ::-1])
