"""The house plan: a package imports only packages below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the top down (docs/architecture.md).
TOWER = ("benchmarks", "eval", "training", "models", "ops", "data")
FILES = [path for package in TOWER for path in sorted((ROOT / package).rglob("*.py"))]


def imported(source: str) -> set[str]:
    """The top packages that a module imports, wherever in it, type checking included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def upward(package: str, source: str) -> set[str]:
    return imported(source) & set(TOWER[: TOWER.index(package)])


def test_every_package_has_files() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(TOWER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_upward(path: Path) -> None:
    assert not upward(path.relative_to(ROOT).parts[0], path.read_text())


def test_an_upward_import_is_found() -> None:
    source = "def f():\n    from training.loop import train\n    import eval.table\n"
    assert upward("models", source) == {"training", "eval"}
    assert upward("benchmarks", source) == set()
