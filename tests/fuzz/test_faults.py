"""Faults of the machine: signals, full and read-only disks, folders that go away, too little memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tiny_clips import frame_times, make_clip

from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.errors import DiskFault
from selfhvd_cli.video.encoders import Encoding

HERE = Path(__file__).parent

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks and mounts as Linux does")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return make_clip(tmp_path / "in" / "clip.mp4")


@linux
def test_blows_at_random_moments() -> None:
    command = [sys.executable, "-W", "ignore", str(HERE / "kill_runs.py"), "--only", "copy", "--count", "9"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "9 runs struck, 0 badly" in run.stdout


def on_a_disk(options: str, folder: Path, source: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Deblur onto a disk of its own, which nobody else sees; what lies on it afterwards ends the output."""
    command = [sys.executable, "-m", "selfhvd_cli", "deblur", source, "--strength", "0", "-o", f"{folder}/out.mp4"]
    run = " ".join(map(str, [*command, *words]))
    script = f"mount -t tmpfs -o {options} tmpfs {folder} || exit 77; {run}; code=$?; ls -A {folder}; exit $code"
    return subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=200)


@linux
@pytest.mark.skipif(not shutil.which("unshare") or os.name == "nt" or os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(("options", "said"), [("size=16k", "no space"), ("ro", "read-only")])
def test_a_full_and_a_read_only_disk(clip: Path, tmp_path: Path, options: str, said: str) -> None:
    longer = make_clip(tmp_path / "long.mp4", times=range(0, 90 * 20, 20), width=160, height=128)
    (tmp_path / "disk").mkdir()
    run = on_a_disk(options, tmp_path / "disk", longer, "--crf 1")
    if run.returncode == 77:
        pytest.skip("this machine lets nobody mount")
    assert run.returncode == 7, run.stderr
    assert said in run.stderr
    assert run.stderr.count("Error (") == 1
    assert run.stdout == "", "something was left behind"


IN_SEGMENTS = """
import sys
from selfhvd_cli.deblurring import settings
settings.SEGMENT = 6
from selfhvd_cli.cli import selfhvd
selfhvd(["deblur", *sys.argv[1:], "--device", "cpu", "--crf", "1", "--preset", "ultrafast"], prog_name="selfhvd")
"""


@linux
@pytest.mark.skipif(not shutil.which("unshare") or os.name == "nt" or os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_fills_up_under_a_long_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    source = make_clip(tmp_path / "clip.mp4", times=range(0, 34 * 20, 20), width=160, height=128)
    (tmp_path / "long.py").write_text(IN_SEGMENTS)
    disk, whole = tmp_path / "disk", tmp_path / "whole.mp4"
    disk.mkdir()
    long_run = [sys.executable, str(tmp_path / "long.py"), str(source), "-o"]
    subprocess.run([*long_run, str(whole)], check=True, capture_output=True, timeout=200)
    size = whole.stat().st_size

    def fill(script: str, share: float) -> subprocess.CompletedProcess[str]:
        pages = f"mount -t tmpfs -o size={round(share * size)} tmpfs {disk} || exit 77; {script}"
        return subprocess.run(["unshare", "--mount", "sh", "-c", pages], capture_output=True, text=True, timeout=400)

    command = " ".join([*long_run, f"{disk}/out.mp4"])
    tight = fill(f"{command}; code=$?; ls -A {disk}; cmp {disk}/out.mp4 {whole} || exit 1; exit $code", 1.4)
    if tight.returncode == 77:
        pytest.skip("this machine lets nobody mount")
    assert tight.returncode == 0, tight.stderr
    assert tight.stdout.split() == ["out.mp4"], "the output came first"
    mount = f"mount -o remount,size={4 * size} {disk}"
    small = fill(f"{command}; echo $?; ls -A {disk}; {mount}; {command}; cmp {disk}/out.mp4 {whole}", 0.6)
    assert small.returncode == 0, small.stderr + small.stdout
    code, *left = small.stdout.split()
    assert code == "7", small.stderr
    assert len(left) == 1
    assert left[0].endswith(".resume")
    assert "frames are kept" in small.stderr
    assert "going on after the" in small.stderr


FULL_AT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from selfhvd_cli.cli import selfhvd
selfhvd(["deblur", sys.argv[2], "-o", sys.argv[3], "--strength", "0", "-f", "--crf", "1"], prog_name="selfhvd")
"""


@linux
@pytest.mark.parametrize("limit", [1, 3000])
def test_a_disk_that_takes_no_more(clip: Path, tmp_path: Path, limit: int) -> None:
    target = tmp_path / "in" / "out.mp4"
    target.write_bytes(b"precious")
    command = [sys.executable, "-c", FULL_AT, str(limit), str(clip), str(target)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert run.returncode == 7, run.stderr
    assert run.stderr.count("Error (") == 1
    assert target.read_bytes() == b"precious"
    assert sorted(path.name for path in target.parent.iterdir()) == ["clip.mp4", "out.mp4"]


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
import selfhvd_cli.cli.deblur, selfhvd_cli.cli.deblur_runs
from selfhvd_cli.cli import selfhvd
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 4_000_000
resource.setrlimit(resource.RLIMIT_AS, (size, size))
selfhvd(["deblur", sys.argv[1], "--strength", "0"], prog_name="selfhvd")
"""


@linux
def test_too_little_memory_is_called_so(clip: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, str(clip)], capture_output=True, text=True, timeout=200
    )
    assert run.returncode == 6, run.stderr
    assert run.stderr.count("Error (6, out of memory)") == 1
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


@linux
def test_whatever_memory_there_is_the_network_runs_or_says_so() -> None:
    command = [sys.executable, "-W", "ignore", str(HERE / "little_memory.py"), "--steps", "6", "--most", "600"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "6 runs, 0 badly" in run.stdout
    assert "'exit code 6'" in run.stdout
    assert "'exit code 0'" in run.stdout


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be removed there")
@pytest.mark.parametrize("phase", ["deblur", "finish"])
def test_an_output_folder_that_goes_away(clip: Path, tmp_path: Path, phase: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    job = DeblurJob(clip, folder / "new.mp4", strength=0, encoding=Encoding(preset="ultrafast"))

    def run() -> None:
        with closing(deblur_steps(job)) as steps:
            for step in steps:
                if step.phase == phase and folder.exists():
                    shutil.rmtree(folder)

    with pytest.raises(DiskFault, match="its folder is gone"):
        run()
    assert not folder.exists()
    folder.mkdir()
    for _ in deblur_steps(job):
        pass
    assert len(frame_times(folder / "new.mp4")) == 8
