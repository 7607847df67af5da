"""Which test files can notice a change of one file at all: those that reach it by imports.

Besides import statements, texts of the form "package.module:name" count: our tables of mixers, learners and
families name what they import on use in this way. A test that is left out by mistake can only make the check
stricter.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Iterator, Sequence

ENTRY = re.compile(r"([a-z_]\w*(?:\.\w+)+):\w+")


def files_that_notice(tree: Path, paths: Sequence[str], changed: str | None) -> list[str]:
    """The test files under `paths`, in their order, that reach the file `changed`, or all for None.

    All names are relative to `tree`.
    """
    found = []
    for path in paths:
        files = sorted((tree / path).rglob("test_*.py")) if (tree / path).is_dir() else [tree / path]
        found += [file for file in files if file.is_file() and _may_notice(tree, file, changed)]
    return [str(file.relative_to(tree)) for file in found]


def _may_notice(tree: Path, file: Path, changed: str | None) -> bool:
    return changed is None or changed in _reached(tree, file)


def _reached(tree: Path, start: Path) -> set[str]:
    """Every file of the tree that importing `start` may import."""
    seen, waiting = {start}, [start]
    while waiting:
        for file in _imported(tree, waiting.pop()):
            if file not in seen:
                seen.add(file)
                waiting.append(file)
    return {str(file.relative_to(tree)) for file in seen}


@cache
def _imported(tree: Path, file: Path) -> frozenset[Path]:
    names = _names(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(found for name in names for found in _files(tree, name))


def _names(module: ast.Module) -> Iterator[str]:
    """Dotted names that may be modules."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if entry := ENTRY.fullmatch(node.value):
                yield entry[1]


def _files(tree: Path, name: str) -> Iterator[Path]:
    """The packages on the way to a dotted name, and the module itself."""
    parts = name.split(".")
    for k in range(1, len(parts) + 1):
        for root in (tree, tree / "src"):
            stem = root.joinpath(*parts[:k])
            for file in (stem.with_suffix(".py"), stem / "__init__.py"):
                if file.is_file():
                    yield file
