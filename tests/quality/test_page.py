"""The page of a comparison in a real browser: it plays, slides and zooms, asks for nothing, and fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chromium
import numpy as np
import pytest
from made_clips import texture, write_video

from selfhvd_cli.compare_videos import compare

pytestmark = pytest.mark.skipif(
    chromium.PROGRAM is None, reason="Chromium is not installed (apt-get install chromium): the page is not opened"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dark clip against a bright one, in a file whose name tries to leave its place in the page."""
    folder = tmp_path_factory.mktemp("page")
    frames = [np.roll(texture(320, 180), 3 * step, axis=1) for step in range(12)]
    dark = write_video(folder / "dark.mp4", [frame // 4 for frame in frames], sound=True)
    bright = write_video(folder / "bright.mp4", [255 - frame // 4 for frame in frames])
    target = folder / "ein <b>Bericht & mehr.html"
    labels = ("before </script><script>alert(1)</script>", "after & <i>")
    details = {"Settings": ["model lite", "strength 1"], "Receipt": ["kept 14/15", "left out: apac <audio>"]}
    compare(dark, bright, target, labels=labels, metrics="sharpness,blur,shift", details=details, every=4)
    return target


@pytest.fixture(scope="module")
def tab(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Tab]:
    with chromium.tab(tmp_path_factory.mktemp("profile")) as opened:
        opened.open(page)
        opened.wait("video.readyState >= 2 && canvas.width > 0 && document.getElementById('before').complete")
        yield opened


def brightness(tab: chromium.Tab, across: float) -> float:
    """Of the player's canvas, `across` of its width from the left."""
    return float(
        tab.ask(
            "(() => { draw(); const copy = new OffscreenCanvas(4, 4).getContext('2d', {willReadFrequently: true});"
            f" copy.drawImage(canvas, -Math.round(canvas.width * {across}), -Math.round(canvas.height / 2));"
            " const codes = [...copy.getImageData(0, 0, 4, 4).data].filter((_, at) => at % 4 < 3);"
            " return codes.reduce((a, b) => a + b) / codes.length; })()"
        )
    )


def test_the_slider_uncovers_the_other_video(tab: chromium.Tab) -> None:
    tab.press("#wipe", 0.5)
    assert brightness(tab, 0.25) < 80
    assert brightness(tab, 0.75) > 170
    tab.press("#wipe", 0.98)
    assert brightness(tab, 0.75) < 80, "before covers all"
    tab.press("#wipe", 0.02)
    assert brightness(tab, 0.25) > 170, "after covers all"
    tab.press("#canvas", 0.6)
    assert brightness(tab, 0.55) < 80, "a touch on the video moves the line there"
    assert brightness(tab, 0.65) > 170


def test_the_video_plays_and_seeks(tab: chromium.Tab) -> None:
    tab.press("#play")
    tab.wait("!video.paused && video.currentTime > 0.3")
    assert tab.ask("document.getElementById('play').textContent") == "Pause"
    tab.press("#play")
    tab.wait("video.paused")
    tab.press("#seek", 0.75)
    tab.wait("!video.seeking && video.currentTime > 0.6 && video.currentTime < 1.1")
    assert tab.ask("video.duration") == pytest.approx(1.2, abs=0.15)


def test_stills_slide_and_zoom_together(tab: chromium.Tab) -> None:
    assert tab.ask("document.getElementById('picks').children.length") == 3
    tab.press("#slider", 0.25)
    edge = tab.ask("document.getElementById('edge').getBoundingClientRect().left - view.getBoundingClientRect().left")
    assert edge / tab.ask("view.clientWidth") == pytest.approx(0.25, abs=0.05)
    tab.press("[data-zoom='4']")
    boxes = tab.ask(
        "['before', 'after'].map((id) => { const b = document.getElementById(id).getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })"
    )
    assert boxes[0] == boxes[1]
    assert boxes[0][2] * tab.ask("devicePixelRatio") == pytest.approx(4 * 320)
    tab.ask("view.scrollLeft = 99999")
    assert tab.ask("document.getElementById('before').naturalWidth") == 320
    tab.press("[data-zoom='fit']")
    assert tab.ask("stage.clientWidth <= view.clientWidth")
    tab.press("#picks button:nth-child(3)")
    assert tab.ask("document.getElementById('caption').textContent").startswith("best: frame")


def test_what_it_says(tab: chromium.Tab) -> None:
    text = tab.ask("document.body.innerText")
    for words in ("before </script><script>alert(1)</script>", "shift", "▲", "kept 14/15", "left out: apac <audio>"):
        assert words in text
    assert tab.ask("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")


def test_it_fits_a_phone(tab: chromium.Tab) -> None:
    tab.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=3, mobile=True)
    tab.wait("innerWidth === 390")
    assert tab.ask("document.documentElement.scrollWidth") <= 390
    assert tab.ask("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    assert tab.ask("[...document.querySelectorAll('button')].every((b) => b.getBoundingClientRect().height >= 36)")
    assert tab.ask("document.querySelector('.scroll').scrollWidth <= document.querySelector('.scroll').clientWidth")
    plots = tab.ask("[...document.querySelectorAll('.plots img')].map((one) => [one.naturalWidth, one.clientWidth])")
    assert len(plots) >= 4
    assert all(shown > 0.6 * natural for natural, shown in plots), "the words in the plots stay readable"
    tab.press("[data-zoom='1']")
    assert tab.ask("stage.clientWidth * devicePixelRatio") == pytest.approx(320, abs=3)
    tab.call("Emulation.clearDeviceMetricsOverride")


def test_it_asks_for_nothing_and_complains_of_nothing(tab: chromium.Tab, page: Path) -> None:
    outside = [url for url in tab.requests if not url.startswith(("data:", "blob:")) and url != page.as_uri()]
    assert outside == []
    assert tab.faults == []
