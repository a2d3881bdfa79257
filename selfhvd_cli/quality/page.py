"""A page for a browser that shows two videos beside each other and needs nothing but itself."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import cv2
import numpy as np

from selfhvd_cli.quality.names import readable
from selfhvd_cli.quality.panels import Picture
from selfhvd_cli.quality.report import ScoreReport, table

CLIP_SIDE = 1280
"""Longer side in pixels of each video in the page; the stills are at full size."""

JPEG_QUALITY = 93


@dataclass(frozen=True)
class Still:
    """One frame of both videos at full size."""

    caption: str
    first: Picture
    second: Picture


@dataclass(frozen=True)
class Page:
    """What a page shows."""

    title: str
    names: tuple[str, str]
    stills: Sequence[Still]
    clip: bytes
    """mp4 whose pictures hold both videos, see `fitted`."""

    stacked: Literal["below", "beside"]
    """Where the second video lies in the clip's pictures."""

    report: ScoreReport
    columns: Sequence[str]
    """Names of the report's videos."""

    plots: Sequence[bytes]
    """SVG files."""

    details: Mapping[str, Sequence[str]]
    """Further sections: heading → lines."""


def fitted(first: Picture, second: Picture, stacked: Literal["below", "beside"]) -> Picture:
    """Both pictures, no larger than a page holds, as one picture of twice the size."""
    scale = min(1.0, CLIP_SIDE / max(first.shape[:2]))
    width, height = (max(2, round(side * scale) // 2 * 2) for side in (first.shape[1], first.shape[0]))
    halves = [cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in (first, second)]
    return np.concatenate(halves, axis=0 if stacked == "below" else 1)


def page_html(page: Page) -> str:
    """The page as the text of one file."""
    stills = [
        {
            "caption": still.caption,
            "width": still.first.shape[1],
            "height": still.first.shape[0],
            "first": _data("image/jpeg", _jpeg(still.first)),
            "second": _data("image/jpeg", _jpeg(still.second)),
        }
        for still in page.stills
    ]
    data = {
        "names": [readable(name) for name in page.names],
        "stills": stills,
        "stacked": page.stacked,
        "clip": base64.b64encode(page.clip).decode("ascii"),
    }
    parts = {
        "title": _escaped(page.title),
        "scores": _score_table(page),
        "plots": "\n".join(f'<img src="{_data("image/svg+xml", plot)}" alt="plot">' for plot in page.plots),
        "details": "\n".join(_section(heading, lines) for heading, lines in page.details.items()),
        # A closing tag in a file's name would end the script early, a comment's beginning keep it from ending.
        "data": json.dumps(data).replace("<", "\\u003c"),
    }
    text = (files("selfhvd_cli.quality") / "page.html").read_text(encoding="utf-8")
    for name, value in parts.items():
        text = text.replace(f"<!--{name}-->", value)
    return text


def _score_table(page: Page) -> str:
    headings, rows = table(page.report, page.columns)
    head = "".join(f"<th>{_escaped(cell)}</th>" for cell in headings)
    body = "\n".join("<tr>" + "".join(f"<td>{_marked(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _marked(cell: str) -> str:
    kind = {"▲": "better", "▼": "worse"}.get(cell[-1:], "")
    # A place to break a line, for the width of a phone.
    text = html.escape(cell).replace(" ±", " <small>±").replace(" ↑", "&nbsp;↑").replace(" ↓", "&nbsp;↓")
    text += "</small>" if "<small>" in text else ""
    return f'<div class="{kind}">{text}</div>' if kind else text


def _section(heading: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{_escaped(line)}</li>" for line in lines)
    return f"<h2>{_escaped(heading)}</h2><ul>{items}</ul>"


def _escaped(text: str) -> str:
    return html.escape(readable(text))


def _jpeg(picture: Picture) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "jpeg", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
