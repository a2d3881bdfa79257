"""selfhvd: takes the blur out of handheld phone videos.

The names below are the commands' Python twins; each is imported when first used, so that `import selfhvd_cli`
stays instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a type checker or an editor sees in place of `__getattr__`
    from selfhvd_cli.adapt_network import adapt as adapt
    from selfhvd_cli.bench_machine import bench as bench
    from selfhvd_cli.compare_videos import compare as compare
    from selfhvd_cli.deblur_video import deblur as deblur
    from selfhvd_cli.diagnose_machine import doctor as doctor
    from selfhvd_cli.export_stills import still as still
    from selfhvd_cli.inspect_clip import inspect as inspect
    from selfhvd_cli.list_jobs import jobs as jobs
    from selfhvd_cli.pretrain_network import pretrain as pretrain
    from selfhvd_cli.report_result import report as report
    from selfhvd_cli.score_video import score as score
    from selfhvd_cli.synth_pairs import synth as synth
    from selfhvd_cli.taste_clip import taste as taste

__version__ = "0.1.0"

_HOMES: dict[str, str] = {
    "adapt": "adapt_network",
    "bench": "bench_machine",
    "deblur": "deblur_video",
    "doctor": "diagnose_machine",
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
