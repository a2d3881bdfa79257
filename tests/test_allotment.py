"""What a process may take: the limits of containers, of batch systems and of affinity."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from selfhvd_cli.allotment import available_host_memory, processors
from selfhvd_cli.device import choose_compute

GIB = 1 << 30


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    """A machine with 8 GiB free."""
    file = tmp_path / "meminfo"
    file.write_text(f"MemTotal: 99 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    return file


def own(folder: Path, *lines: str) -> Path:
    file = folder / "own"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def group(folder: Path, **files: object) -> None:
    """A control group whose files are named with `__` for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def unified(folder: Path, limit: object, used: int, cache: int) -> None:
    group(folder, memory__max=limit, memory__current=used, memory__stat=f"anon 5\ninactive_file {cache}")


def test_a_container_s_limit_counts(tmp_path: Path, meminfo: Path) -> None:
    root, here = tmp_path / "root", own(tmp_path, "0::/")
    unified(root, 2 * GIB, GIB, GIB // 4)
    assert available_host_memory(meminfo, here, root) == GIB + GIB // 4
    unified(root, "max", GIB, 0)
    assert available_host_memory(meminfo, here, root) == 8 * GIB


def test_a_job_of_a_batch_system_has_its_limit_some_folders_below(tmp_path: Path, meminfo: Path) -> None:
    root, here = tmp_path / "root", own(tmp_path, "0::/slurm/job_7/step_0")
    unified(root / "slurm", 6 * GIB, GIB, 0)
    unified(root / "slurm" / "job_7", 3 * GIB, 2 * GIB, 0)
    unified(root / "slurm" / "job_7" / "step_0", "max", GIB, 0)
    assert available_host_memory(meminfo, here, root) == GIB


def test_groups_of_the_first_version_are_read(tmp_path: Path, meminfo: Path) -> None:
    root = tmp_path / "root"
    here = own(tmp_path, "5:cpu,cpuacct:/", "4:memory:/job", "0::/")
    limits = {"memory__limit_in_bytes": 2 * GIB, "memory__usage_in_bytes": GIB}
    group(root / "memory" / "job", **limits, memory__stat="total_inactive_file 4096")
    group(root / "memory", memory__limit_in_bytes=9223372036854771712, memory__usage_in_bytes=0)
    assert available_host_memory(meminfo, here, root) == GIB + 4096


@pytest.mark.parametrize("told", ["0::/docker/0123", "0::/../../elsewhere"])
def test_a_container_that_is_told_its_place_outside_is_bound_by_the_root_it_sees(
    tmp_path: Path, meminfo: Path, told: str
) -> None:
    root = tmp_path / "root"
    unified(root, 2 * GIB, GIB, 0)
    assert available_host_memory(meminfo, own(tmp_path, told), root) == GIB


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", None), ("100000 100000", 1), ("10000 100000", 1), ("99900000 100000", None)],
)
def test_processors_are_those_whose_time_a_container_has(tmp_path: Path, quota: str, expected: int | None) -> None:
    root = tmp_path / "root"
    group(root, cpu__max=quota)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert processors(own(tmp_path, "0::/"), root) == (expected or usable)


def test_processors_by_the_first_version(tmp_path: Path) -> None:
    root, here = tmp_path / "root", own(tmp_path, "5:cpu,cpuacct:/job", "4:memory:/")
    group(root / "cpu" / "job", cpu__cfs_quota_us=150000, cpu__cfs_period_us=200000)
    assert processors(here, root) == 1
    group(root / "cpu" / "job", cpu__cfs_quota_us=-1)
    assert processors(here, root) == processors(own(tmp_path), root)


def test_threads_of_torch_are_as_many_as_the_process_has_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that share the time of one processor wait for each other."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("selfhvd_cli.device.processors", lambda: 1)
    try:
        torch.set_num_threads(3)
        assert str(choose_compute("cpu")).startswith("cpu")
        assert torch.get_num_threads() == 1
        torch.set_num_threads(3)
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        choose_compute("cpu")
        assert torch.get_num_threads() == 3, "what was asked for stays"
    finally:
        torch.set_num_threads(before)
