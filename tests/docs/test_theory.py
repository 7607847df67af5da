"""docs/theory.md names tests that exist, and every property and counterexample of claims 1 to 4."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "theory.md"
NAMED_WHOLLY = ("vsp_keeps_the_task", "lemma_1", "lemma_2", "theorem_1", "assumptions")


def named() -> set[tuple[str, str]]:
    """(file, name) of the tests on the page."""
    return set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8")))


def defined(file: str) -> set[str]:
    """The tests of a file; none if it does not exist."""
    path = TESTS / file
    tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_page_names_exists() -> None:
    assert sorted((file, name) for file, name in named() if name not in defined(file)) == []


def test_the_page_names_every_test_of_claims_1_to_4_and_of_the_assumptions() -> None:
    files = [f"theory/test_{name}.py" for name in NAMED_WHOLLY]
    assert all(defined(file) for file in files)
    assert sorted((file, name) for file in files for name in defined(file) if (file, name) not in named()) == []
