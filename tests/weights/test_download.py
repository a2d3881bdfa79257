"""A download against a server that misbehaves: it resumes, retries, or ends with a fault that says why."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest
from weights_stand_ins import QUICK, Site, Trick, running

from selfhvd_cli.errors import DiskFault, WeightsFault
from selfhvd_cli.weights import https
from selfhvd_cli.weights.https import Download, Transfer, download

CONTENT = os.urandom(600_000)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.part"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the download would have slept."""
    seconds: list[float] = []
    monkeypatch.setattr(https, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


def fetch(url: str, part: Path, **how: object) -> list[Transfer]:
    return list(download(Download(url, **how), part, QUICK))  # type: ignore[arg-type]


def test_a_good_server_is_asked_once_and_progress_reaches_the_end(site: Site, part: Path) -> None:
    reports = fetch(site.put("/a.bin", CONTENT), part)
    assert part.read_bytes() == CONTENT
    assert len(site.requests()) == 1
    assert [report.done for report in reports] == sorted(report.done for report in reports)
    assert reports[-1].done == reports[-1].total == len(CONTENT)


def test_a_dropped_connection_is_continued_not_restarted(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(after=200_000), Trick(after=150_000)]
    fetch(site.put("/a.bin", CONTENT), part)
    assert part.read_bytes() == CONTENT
    assert site.ranges() == ["", "bytes=200000-", "bytes=350000-"]
    assert site.requests()[1][1]["if-range"] == site.files["/a.bin"].etag
    assert site.sent == len(CONTENT)


def test_a_later_call_continues_where_an_earlier_one_gave_up(site: Site, part: Path) -> None:
    url = site.put("/a.bin", CONTENT)
    site.tricks["/a.bin"] = [Trick(after=200_000)] + [Trick(status=503)] * 4
    with pytest.raises(WeightsFault, match=r"503.*given up after 4 tries.*continues where it stopped"):
        fetch(url, part)
    assert part.stat().st_size == 200_000
    fetch(url, part)
    assert part.read_bytes() == CONTENT
    assert site.ranges()[-1] == "bytes=200000-"


def test_a_part_that_is_another_programs_file_by_a_second_name_is_not_written_to(
    site: Site, part: Path, tmp_path: Path
) -> None:
    """As a pull leaves one behind that was stopped after it found the file in huggingface_hub's cache."""
    theirs = tmp_path / "blob"
    theirs.write_bytes(b"their bytes")
    os.link(theirs, part)
    fetch(site.put("/a.bin", CONTENT), part)
    assert part.read_bytes() == CONTENT
    assert theirs.read_bytes() == b"their bytes"


def test_a_silent_server_is_left_and_asked_again(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(after=100_000, stall=3.0)]
    reports = fetch(site.put("/a.bin", CONTENT), part)
    assert any("timed out" in report.trouble for report in reports)
    assert site.ranges() == ["", "bytes=100000-"], "what came before the silence is kept"
    assert part.read_bytes() == CONTENT


def test_a_slow_server_is_borne_with(site: Site, part: Path) -> None:
    fetch(site.put("/a.bin", CONTENT, pause=0.02), part)
    assert part.read_bytes() == CONTENT
    assert len(site.requests()) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_passing_troubles_are_retried(site: Site, part: Path, waits: list[float], status: int) -> None:
    site.tricks["/a.bin"] = [Trick(status=status), Trick(status=status)]
    reports = fetch(site.put("/a.bin", CONTENT), part)
    assert part.read_bytes() == CONTENT
    assert len(waits) == 2
    assert [str(status) in report.trouble for report in reports[:2]] == [True, True]


def test_waits_grow(site: Site, part: Path, waits: list[float]) -> None:
    site.tricks["/a.bin"] = [Trick(status=500)] * 3
    patience = https.Patience(tries=9, first_wait=1.0, longest_wait=100.0)
    list(download(Download(site.put("/a.bin", CONTENT)), part, patience))
    for wait, middle in zip(waits, (1.0, 2.0, 4.0), strict=True):
        assert 0.75 * middle <= wait <= 1.25 * middle


@pytest.mark.parametrize("asked", [lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)])
def test_retry_after_is_honoured(site: Site, part: Path, waits: list[float], asked: Callable[[], str]) -> None:
    site.tricks["/a.bin"] = [Trick(status=429, headers={"Retry-After": asked()})]
    fetch(site.put("/a.bin", CONTENT), part)
    assert len(waits) == 1
    assert 0.5 < waits[0] <= 2.0


def test_a_retry_after_of_hours_ends_with_word_of_it(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(status=429, headers={"Retry-After": "7200"})]
    with pytest.raises(WeightsFault, match="asks to wait 7200 s"):
        fetch(site.put("/a.bin", CONTENT), part)


@pytest.mark.parametrize(
    ("status", "word"), [(401, "HF_TOKEN"), (403, "licence"), (404, "no such file"), (418, "418")]
)
def test_final_answers_are_not_retried(site: Site, part: Path, status: int, word: str) -> None:
    site.tricks["/a.bin"] = [Trick(status=status)]
    with pytest.raises(WeightsFault, match=word) as caught:
        fetch(site.put("/a.bin", CONTENT), part)
    assert caught.value.exit_code == 5
    assert len(site.requests()) == 1
    assert not part.exists()


def test_a_file_that_changed_meanwhile_starts_over(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(after=200_000)] + [Trick(status=503)] * 4
    url = site.put("/a.bin", CONTENT)
    with pytest.raises(WeightsFault):
        fetch(url, part)
    other = os.urandom(500_000)
    site.put("/a.bin", other)
    fetch(url, part)
    assert part.read_bytes() == other


def test_a_changed_file_starts_over_also_where_if_range_is_not_understood(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(after=200_000)] + [Trick(status=503)] * 4
    url = site.put("/a.bin", CONTENT)
    with pytest.raises(WeightsFault):
        fetch(url, part)
    other = os.urandom(500_000)
    site.put("/a.bin", other, if_range=False)
    fetch(url, part)
    assert part.read_bytes() == other


def test_a_file_that_became_shorter_starts_over(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(after=200_000)] + [Trick(status=503)] * 4
    url = site.put("/a.bin", CONTENT)
    with pytest.raises(WeightsFault):
        fetch(url, part)
    site.put("/a.bin", CONTENT[:1000], if_range=False)
    fetch(url, part)
    assert part.read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("how", [{"ranges": False}, {"etag": ""}, {"etag": 'W/"weak"'}])
def test_without_safe_ranges_the_file_comes_whole(site: Site, part: Path, how: dict[str, object]) -> None:
    site.tricks["/a.bin"] = [Trick(after=200_000)]
    fetch(site.put("/a.bin", CONTENT, **how), part)
    assert part.read_bytes() == CONTENT


def test_a_part_of_another_address_is_not_continued(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(after=200_000)] + [Trick(status=503)] * 4
    with pytest.raises(WeightsFault):
        fetch(site.put("/a.bin", CONTENT), part)
    other = os.urandom(300_000)
    fetch(site.put("/b.bin", other, etag=site.files["/a.bin"].etag), part)
    assert part.read_bytes() == other


def test_a_truncated_file_is_not_taken_for_whole(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(after=1000)] * 2 + [Trick(after=0)] * 4
    with pytest.raises(WeightsFault, match=r"ended at 2000 of 600000 bytes"):
        fetch(site.put("/a.bin", CONTENT), part)


def test_a_body_without_length_must_have_the_known_size(site: Site, part: Path) -> None:
    url = site.put("/a.bin", CONTENT, length=False)
    fetch(url, part, size=len(CONTENT))
    assert part.read_bytes() == CONTENT
    https.forget(part)
    with pytest.raises(WeightsFault, match=r"should have 600001 bytes, got 600000"):
        fetch(url, part, size=len(CONTENT) + 1)


def test_a_file_of_another_size_is_refused_before_its_bytes_come(site: Site, part: Path) -> None:
    with pytest.raises(WeightsFault, match=r"should have 5 bytes, the server offers 600000"):
        fetch(site.put("/a.bin", CONTENT), part, size=5)
    assert not part.exists()


@pytest.mark.parametrize("length", [True, False])
def test_an_endless_file_is_cut_off(site: Site, part: Path, length: bool) -> None:
    with pytest.raises(WeightsFault, match="refused"):
        fetch(site.put("/a.bin", CONTENT, length=length), part, size_limit=100_000)
    assert not part.exists() or part.stat().st_size <= 100_000


def test_a_disk_without_room_is_said_before_the_download(
    site: Site, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "shutil", SimpleNamespace(disk_usage=lambda folder: SimpleNamespace(free=1000)))
    with pytest.raises(DiskFault, match=r"600000 bytes are needed, 1000 are free"):
        fetch(site.put("/a.bin", CONTENT), part)


def test_a_login_page_is_not_taken_for_the_file(site: Site, part: Path) -> None:
    site.tricks["/a.bin"] = [Trick(body=b"<html>log in</html>", headers={"Content-Type": "text/html"})]
    with pytest.raises(WeightsFault, match="web page"):
        fetch(site.put("/a.bin", CONTENT), part)


def test_redirects_are_followed_and_the_resumed_part_too(site: Site, part: Path) -> None:
    target = site.put("/real.bin", CONTENT)
    site.tricks["/real.bin"] = [Trick(after=200_000)]
    fetch(site.put("/a.bin", b"", redirect=target), part)
    assert part.read_bytes() == CONTENT
    assert site.ranges() == ["", "", "bytes=200000-", "bytes=200000-"]


def test_a_redirect_loop_ends(site: Site, part: Path) -> None:
    url = site.put("/a.bin", b"", redirect=site.url + "/a.bin")
    with pytest.raises(WeightsFault, match="302"):
        fetch(url, part)


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirect_out_of_the_web_is_refused(site: Site, part: Path, target: str) -> None:
    with pytest.raises(WeightsFault):
        fetch(site.put("/a.bin", b"", redirect=target), part)
    assert not part.exists()


def test_https_is_never_left_for_http() -> None:
    from urllib.request import Request

    from selfhvd_cli.weights.web import _CarefulRedirects

    with pytest.raises(WeightsFault, match="unsafe"):
        _CarefulRedirects().redirect_request(
            Request("https://a.example/x"), None, 302, "", None, "http://a.example/x"  # type: ignore[arg-type]
        )  # fmt: skip


def test_a_login_in_the_address_works_and_stays_with_its_server(site: Site, part: Path) -> None:
    other = Site()
    with running(other):
        target = other.put("/real.bin", CONTENT)
        url = site.put("/a.bin", b"", redirect=target, login="Basic YW5uOnMzY3JldA==")
        fetch(url.replace("http://", "http://ann:s3cret@"), part)
        assert part.read_bytes() == CONTENT
        assert all("authorization" not in headers for _, headers in other.requests())
        assert all("s3cret" not in path.read_text() for path in part.parent.glob("*.json"))


def test_no_password_and_no_signature_reach_a_message(site: Site, part: Path) -> None:
    with pytest.raises(WeightsFault) as caught:
        fetch(site.url.replace("http://", "http://ann:s3cret@") + "/none.bin?Signature=topsecret", part)
    assert not re.search("s3cret|topsecret", str(caught.value))
    assert "/none.bin" in str(caught.value)


def test_no_server_at_all_is_retried_then_said(part: Path) -> None:
    with pytest.raises(WeightsFault, match=r"not reachable.*given up after 4 tries.*--mirror.*import FILE"):
        fetch("http://127.0.0.1:9/a.bin", part)


def test_a_proxy_of_the_environment_is_used(site: Site, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.delenv("no_proxy", raising=False)
    site.put("http://weights.example/a.bin", CONTENT)
    fetch("http://weights.example/a.bin", part)
    assert part.read_bytes() == CONTENT


def test_other_kinds_of_addresses_are_refused(part: Path) -> None:
    with pytest.raises(WeightsFault, match="only http and https"):
        fetch("file:///etc/hostname", part)
