"""The layers of the package: arrows point downward only, siblings never import each other."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import selfhvd_cli

PACKAGE = Path(__file__).parent.parent / "selfhvd_cli"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("allotment", "counting", "errors", "threads"),
    ("clip", "device", "durable", "heap", "moments", "pipeline", "steps", "waiting"),
    ("ops", "weights.spec"),
    ("video", "weights"),
    ("nets",),
    ("restore", "flow", "quality"),
    ("training", "synthesis", "deblurring"),
    ("adaptation", "comparing"),
    (
        "deblur_video",
        "list_jobs",
        "diagnose_machine",
        "synth_pairs",
        "inspect_clip",
        "score_video",
        "export_stills",
        "bench_machine",
    ),
    ("deblur_clips", "pretrain_network", "compare_videos", "adapt_network"),
    ("report_result", "taste_clip"),
    ("cli",),
    ("__main__",),
)
"""From the ground up. A module may import from rows below its own and from its own folder."""


def unit_of(module: str) -> str:
    """The named part of the table that `module` (dotted, without the package) belongs to."""
    parts = module.split(".")
    two = ".".join(parts[:2])
    return two if any(two in row for row in LAYERS) else parts[0]


def level_of(unit: str) -> int:
    for level, row in enumerate(LAYERS):
        if unit in row:
            return level
    raise AssertionError(f"{unit} is in no layer: add it to LAYERS")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("selfhvd_cli"):
            rest = node.module.removeprefix("selfhvd_cli").lstrip(".")
            found |= {rest} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {name.removeprefix("selfhvd_cli.") for name in names if name.startswith("selfhvd_cli.")}
    return found - {"__version__"}


FROM_PYIQA = {"packaging", "timm"}
"""Packages that only pyiqa needs and brings; what is done there is done to them."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downward(path: Path) -> None:
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    unit = unit_of(module)
    for imported in imports_of(path):
        other = unit_of(imported)
        assert other == unit or level_of(other) < level_of(unit), f"{module} must not import {imported}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_video_imports_av_and_only_cli_prints(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    folder = path.relative_to(PACKAGE).parts[0]
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        if folder != "video":
            assert not any(name == "av" or name.startswith("av.") for name in names), f"{path}: imports av"
        if folder != "cli" and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{path}:{node.lineno} prints"


def test_type_checkers_see_the_names_that_are_imported_when_first_used() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module.removeprefix("selfhvd_cli.")
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname == alias.name  # as PEP 484 wants of what is handed on
    }
    assert seen == selfhvd_cli._HOMES
    assert (PACKAGE / "py.typed").is_file()  # else they take the whole package for untyped


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.match(r"[\w-]+", line)[0].replace("_", "-").lower() for line in project["dependencies"]}
    brought_by = packages_distributions()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for top in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - FROM_PYIQA:
                owners = {owner.replace("_", "-").lower() for owner in brought_by.get(top, [top])}
                assert top == PACKAGE.name or owners & declared, f"{path} imports {top}, which pyproject.toml lacks"
