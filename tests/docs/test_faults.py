"""Every test that docs/faults.md names exists."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 50
    defined = {
        file: {node.name for node in ast.walk(_tree(file)) if isinstance(node, ast.FunctionDef)}
        for file in {file for file, _ in named}
    }
    assert [f"{file}::{name}" for file, name in named if name not in defined[file]] == []


def test_every_row_of_the_page_names_a_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| fault |")]
    assert len(rows) > 50
    assert [row for row in rows if "::test_" not in row.split(" | ")[-1] or row.count(" | ") != 2] == []


def _tree(file: str) -> ast.Module:
    path = TESTS / file
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
