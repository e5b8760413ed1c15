"""Arrows point one way: nobody imports from a layer above his own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "lrpilot"
LAYERS = [
    {"errors", "stats"}, {"facts", "metric", "outcome", "record"},
    {"control", "recommend", "report", "diagnose"}, {"integrations"},
    {"torch", "transformers", "tune"}, {"bench"}, {"cli", "testing"},
]  # fmt: skip
PURE = {"errors", "stats", "facts", "metric", "outcome", "record", "control", "recommend",
        "diagnose"}  # fmt: skip
ALLOWED = {"numpy", "scipy", "lrpilot"}
# to look at files of the user's own
OPTIONAL = {
    "recommend": {"pyarrow", "yaml"},
    "diagnose/readers": {"pyarrow", "yaml", "tensorboard", "wandb"},
}
STANDARD = __import__("sys").stdlib_module_names
FILES = [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]


def rank(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def imports(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        words = name.split(".")
        if words[0] == "lrpilot" and len(words) > 1 and not words[1].startswith("__"):
            known = any(words[1] in layer for layer in LAYERS)
            assert not known or rank(words[1]) <= rank(part), f"{part} imports {name}"
        if part in PURE:
            inside = path.relative_to(PACKAGE).as_posix()
            own = [names for place, names in OPTIONAL.items() if inside.startswith(place)]
            allowed = ALLOWED.union(*own)
            assert words[0] in allowed or words[0] in STANDARD, f"{part} imports {name}"
