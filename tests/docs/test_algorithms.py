"""docs/algorithms.md names tests, mutants and keys that exist, and every test of the invariants."""

import ast
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

from plugins.config import keys
from plugins.config.schema import config_names, load_alg
from tests.mutation.mutants import MUTANTS

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "algorithms.md"
TEXT = PAGE.read_text(encoding="utf-8")
BOOKKEEPING = {  # of the tables in the tests themselves
    "test_every_mixer_with_proxies_says_which_weights_are_a_slots_own",
    "test_every_algorithm_with_proxies_says_what_it_is_without_durations",
    "test_every_algorithm_is_of_one_kind",
    "test_every_algorithm_can_be_built_and_has_parameters_to_move",
    "test_a_proxy_does_not_see_what_its_agent_sees_after_the_decision",
}


def named() -> set[tuple[str, str]]:
    """(file, name) of the tests on the page."""
    return set(re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT))


def defined(path: Path) -> set[str]:
    """The tests of a file; none if it does not exist."""
    tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_page_names_exists() -> None:
    assert sorted((file, name) for file, name in named() if name not in defined(TESTS / file)) == []


def test_the_page_names_every_test_of_the_invariants() -> None:
    of_page = {name for _, name in named()}
    for path in sorted((TESTS / "plugins" / "invariants").glob("test_*.py")):
        assert defined(path) - of_page <= BOOKKEEPING, path


def test_every_mutant_that_the_page_names_exists() -> None:
    traps = TEXT.partition("| trap | test | mutant |")[2]
    in_last_column = re.findall(r"\| ((?:`[a-z0-9-]+`(?:, )?)+) \|$", traps, re.M)
    names = [name for cell in in_last_column for name in re.findall(r"`([a-z0-9-]+)`", cell)]
    assert len(names) > 10
    assert sorted(set(names) - {mutant.name for mutant in MUTANTS}) == []


def test_every_key_in_the_table_of_choices_exists() -> None:
    table = TEXT.partition("## Choices that the sources leave open")[2].partition("\n## ")[0]
    cells = [row.split("|")[3] for row in table.splitlines() if row.startswith("|")][2:]
    written = {word.partition("=")[0] for cell in cells for word in re.findall(r"`(\w+(?:=\w+)?)`", cell)}
    known = {name for alg in config_names() for name in load_alg(alg)}
    classes = [each for each in vars(keys).values() if isinstance(each, type) and is_dataclass(each)]
    known |= {field.name for each in classes for field in fields(each)}
    values = {"batch", "ema", "per_agent", "state_weights", "D2", "stored_hidden"}
    assert sorted(written - known - values) == []
