"""Diagnosis of the machine: versions, devices, folders and conflicts, as a bug report needs them."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from selfhvd_cli import __version__
from selfhvd_cli.counting import counted

PACKAGES = (
    "torch",
    "torchvision",
    "av",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pyiqa",
    "safetensors",
    "huggingface-hub",
    "click",
    "rich",
    "matplotlib",
    "imageio-ffmpeg",
    "platformdirs",
)
"""Distributions whose versions explain most trouble."""

RIVALS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""Distributions that all install the same `cv2` folder, each over the others."""

VARIABLES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "TORCH_HOME",
    "CUDA_VISIBLE_DEVICES",
    "PYTORCH_CUDA_ALLOC_CONF",
    "OMP_NUM_THREADS",
    "HTTPS_PROXY",
    "NO_COLOR",
    "FORCE_COLOR",
)
"""Variables that change what a run does; the SELFHVD_ ones are added to them."""

SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|PROXY")
"""Names whose values are not shown: people paste a diagnosis in public."""


@dataclass(frozen=True)
class Folder:
    """A place where files are kept."""

    purpose: str
    """What for."""

    path: Path
    """Where, with the home folder as `~`."""

    state: str
    """`writable`, `not there yet` or `not writable`, and the free space."""


@dataclass(frozen=True)
class Encoder:
    """A video encoder that was tried with a few frames."""

    name: str
    """FFmpeg's name, such as libx264."""

    works: bool
    """Whether it opened and encoded."""

    reason: str
    """Why not; empty if it works."""


@dataclass(frozen=True)
class Diagnosis:
    """What one machine is and has."""

    selfhvd: str
    """Version of this program."""

    python: str
    """Version and place of the interpreter."""

    system: str
    """Operating system and processor."""

    packages: Mapping[str, str]
    """Distribution → version, or `missing`."""

    devices: tuple[str, ...]
    """Where networks can run, the one `--device auto` takes first."""

    arithmetic: tuple[str, ...]
    """How near what `lite` and the guard compute comes to a CPU in float32: `--device auto` in its own precision, and
    in float32."""

    memory: str
    """Main memory that is free."""

    encoders: tuple[Encoder, ...]
    """Video encoders and whether they open here."""

    folders: tuple[Folder, ...]
    """Caches and stores."""

    variables: Mapping[str, str]
    """Environment variables that are set and matter."""

    conflicts: tuple[str, ...] = field(default=())
    """What is wrong, each with what to type."""


def doctor() -> Diagnosis:
    """Look at everything; nothing is downloaded, written or changed. Takes some seconds."""
    return Diagnosis(
        selfhvd=__version__,
        python=f"{platform.python_version()} ({_at_home(Path(sys.executable))})",
        system=f"{platform.platform()}, {_processor()}, {_cores()}",
        packages={name: _version(name) or "missing" for name in PACKAGES},
        devices=_devices(),
        arithmetic=_arithmetic(),
        memory=_memory(),
        encoders=_encoders(),
        folders=_folders(),
        variables=_variables(os.environ),
        conflicts=(*rival_conflict(_installed(RIVALS)), *_torch_conflicts()),
    )


def rival_conflict(versions: Mapping[str, str]) -> tuple[str, ...]:
    """The conflict of several OpenCV distributions of different versions, if there is one.

    Equal versions bring the same modules, and pyiqa and facexlib between them ask for two distributions.

    Args:
        versions: those of `RIVALS` that are installed.
    """
    if len(set(versions.values())) < 2:
        return ()
    found = " and ".join(f"{name} {version}" for name, version in versions.items())
    newest = max(versions.values(), key=lambda version: [int(part) for part in re.findall(r"\d+", version)])
    wanted = " ".join(f"{name}=={newest}" for name in versions)
    return (f"{found} install the same cv2 folder over each other: pip install --force-reinstall {wanted}",)


def pair_conflict(torch_version: str, requirements: list[str]) -> tuple[str, ...]:
    """The conflict of a torchvision that was built for another torch, if there is one.

    Args:
        torch_version: as installed, such as `2.15.0+cu128`.
        requirements: torchvision's own, such as `torch==2.15.0`.
    """
    for requirement in requirements:
        match = re.match(r"torch\s*\(?==\s*([\d.]+)", requirement)
        if match and torch_version.split("+")[0] != match[1]:
            return (
                f"torchvision was built for torch {match[1]}, but torch {torch_version} is installed: "
                "pip install --upgrade torch torchvision",
            )
    return ()


def _torch_conflicts() -> tuple[str, ...]:
    import torch

    found: list[str] = []
    if _version("torchvision"):
        found += pair_conflict(_version("torch") or torch.__version__, metadata.requires("torchvision") or [])
        try:
            import torchvision  # noqa: F401  whether it imports is the question
        except (ImportError, RuntimeError, OSError) as fault:
            found.append(
                f"torchvision does not import ({fault}); install it from where torch came from: "
                "pip install --force-reinstall torch torchvision"
            )
    if torch.version.cuda is None and shutil.which("nvidia-smi") and platform.system() != "Darwin":
        found.append(
            f"this machine seems to have an NVIDIA GPU, but torch {torch.__version__} is a build without CUDA: "
            "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu128"
        )
    return tuple(found)


def _devices() -> tuple[str, ...]:
    import torch

    from selfhvd_cli.device import choose_compute, cpu_has_bfloat16

    found = [f"auto is {choose_compute()}"]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append(f"cuda:{index} {properties.name}, {properties.total_memory / 2**30:.1f} GiB")
    if torch.backends.mps.is_available():
        found.append("mps Apple GPU")
    bfloat16 = "with" if cpu_has_bfloat16() else "without"
    found.append(f"cpu {counted(torch.get_num_threads(), 'thread')}, {bfloat16} native bfloat16")
    return tuple(found)


def _arithmetic() -> tuple[str, ...]:
    from selfhvd_cli.device import choose_compute
    from selfhvd_cli.restore.precision import beside_a_cpu

    return tuple(beside_a_cpu(choose_compute()))


def _cores() -> str:
    from selfhvd_cli.allotment import processors

    there, ours = os.cpu_count() or 1, processors()
    return counted(there, "core") + (f", {ours} for this process" if ours < there else "")


def _memory() -> str:
    from selfhvd_cli.allotment import available_host_memory

    return f"{available_host_memory() / 2**30:.1f} GiB free"


def _encoders() -> tuple[Encoder, ...]:
    from selfhvd_cli.video.encoder_survey import survey_encoders

    return tuple(Encoder(name, reason is None, reason or "") for name, reason in survey_encoders())


def _folders() -> tuple[Folder, ...]:
    from huggingface_hub import constants
    from torch import hub

    from selfhvd_cli.weights.locate import store_folder, user_folder

    return (
        _folder("fetched weights", store_folder()),
        _folder("your own weights", user_folder()),
        _folder("Hugging Face cache", Path(constants.HF_HUB_CACHE)),
        _folder("torch hub cache", Path(hub.get_dir())),
    )


def _folder(purpose: str, path: Path) -> Folder:
    # What is not there yet can be made if its nearest ancestor lets us write.
    there = next(place for place in (path, *path.parents) if place.exists())
    if not os.access(there, os.W_OK):
        state = "not writable"
    else:
        state = "writable" if there == path else "not there yet"
        state += f", {shutil.disk_usage(there).free / 2**30:.0f} GiB free"
    return Folder(purpose, _at_home(path), state)


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    names = [name for name in VARIABLES if name in environment]
    names += sorted(name for name in environment if name.startswith("SELFHVD_"))
    return {name: "(set, not shown)" if SECRET.search(name) else environment[name] for name in names}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    return {name: version for name in names if (version := _version(name))}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="ignore").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _at_home(path: Path) -> Path:
    """The path with the home folder, and so the user's name, taken out."""
    try:
        return Path("~") / path.relative_to(Path.home())
    except (ValueError, RuntimeError):
        return path
