"""Damaged files end in a clip or a clear refusal: no crash, hang, traceback, runaway memory or leftover."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mutations import KINDS, mutate

FUZZER = Path(__file__).with_name("fuzz_deblur.py")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory as Linux tells it")


def fuzz(*options: object) -> str:
    """Run the fuzzer in a process of its own, for it forks; what it printed."""
    command = [sys.executable, "-W", "ignore", str(FUZZER), *map(str, options)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    return run.stdout


def test_mutations_of_good_files() -> None:
    assert "80 damaged files" in fuzz("--count", 80, "--seed", 77)


def test_files_that_broke_other_programs(shared: Path) -> None:
    folder = shared / "media" / "corrupt"
    told = fuzz("--files", folder)
    assert f"{len(list(folder.iterdir()))} damaged files" in told
    assert "saved" in told
    assert "refused" in told


def test_damage_repeats_with_its_seed_and_never_spares_the_file() -> None:
    good = bytes(range(256)) * 40
    assert all(mutate(good, seed) == mutate(good, seed) for seed in range(50))
    changed = [mutate(good, seed)[0] != good for seed in range(200)]
    assert sum(changed) > 180
    assert {name for seed in range(200) for name in mutate(good, seed)[1].split("+")} == set(KINDS)
