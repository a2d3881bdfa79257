"""Fixtures every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from selfhvd_cli.allotment import processors

SHARED = Path(os.environ.get("SELFHVD_TEST_MEDIA", Path(__file__).resolve().parents[2] / "shared"))
"""Real clips, photographs and golden numbers that are not part of the project."""


def pytest_xdist_auto_num_workers() -> int:
    """A process for each core, computing on one: threads of processes that share cores spin for each other."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return min(processors(), 8)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What runs remember about this machine stays out of the user's own cache."""
    os.environ["SELFHVD_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def signals_as_from_a_terminal() -> None:
    """Runs in the background (`nohup`, a job server) are started with signals ignored, and their children, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_IGN:
        signal.signal(hang_up, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def no_config_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a config file; it is theirs."""
    monkeypatch.setenv("SELFHVD_CONFIG", os.devnull)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real media; tests that need it are skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip(f"no real media at {SHARED}: set SELFHVD_TEST_MEDIA to a folder that has them")
    return SHARED
