"""selfhvd: takes the blur out of handheld phone videos.

The names below are the commands' Python twins; each is imported when first used, so that `import selfhvd_cli`
stays instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES: dict[str, str] = {
    "adapt": "adapt_network",
    "bench": "bench_machine",
    "deblur": "deblur_video",
    "inspect": "inspect_clip",
    "score": "score_video",
    "compare": "compare_videos",
    "still": "export_stills",
    "jobs": "list_jobs",
    "report": "report_result",
    "taste": "taste_clip",
    "pretrain": "pretrain_network",
    "synth": "synth_pairs",
}
"""Public name → the story (module of this package) that defines it."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
