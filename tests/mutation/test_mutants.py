"""What CI runs of the mutation check: the table fits the code, and the witnesses and the judge work.

`make mutants` runs the check itself.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.mutation.mutants import MUTANTS, Mutant
from tests.mutation.reach import files_that_notice
from tests.mutation.table import BEGIN, END, write_between_markers
from tests.mutation.trees import ROOT, SUITE, CheckFailed, apply, check_once, difference, suite_of
from tests.mutation.witnesses import WITNESSES, record

PAGE = ROOT / "docs" / "theory.md"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutants_text_stands_once_in_its_file_and_would_change_it(mutant: Mutant) -> None:
    check_once(mutant, (ROOT / mutant.file).read_text(encoding="utf-8"))
    assert mutant.new != mutant.old
    compile((ROOT / mutant.file).read_text(encoding="utf-8").replace(mutant.old, mutant.new), mutant.file, "exec")


def test_names_are_unique_and_every_witness_is_known_and_used() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert {mutant.witness for mutant in MUTANTS} == set(WITNESSES)


@pytest.mark.parametrize("name", WITNESSES)
def test_a_witness_runs_on_the_code_as_it_is_and_gives_the_same_twice(name: str) -> None:
    first, second = record(name), record(name)
    assert difference(first, second) == ""
    assert any(np.unique(values).size > 1 for values in first.values())


def test_the_page_lists_exactly_the_mutants_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w-]+)` \|", page.partition(BEGIN)[2].partition(END)[0], re.M)
    assert listed == [mutant.name for mutant in MUTANTS]


def test_the_tests_that_reach_a_file_are_found_through_imports_and_through_tables_of_names() -> None:
    reach = files_that_notice(ROOT, SUITE, "plugins/mixers/qatten.py")  # built by its name
    assert "tests/plugins/mixers/test_mixers.py" in reach and "tests/plugins/learners/test_parity.py" in reach
    assert "tests/theory/test_lemma_1.py" not in reach  # numpy alone
    assert reach[0].startswith("tests/theory/")
    assert set(reach) < set(files_that_notice(ROOT, SUITE, None))
    for mutant in MUTANTS:
        assert len(suite_of(ROOT, mutant.file)) > 1, mutant.file
        assert all((ROOT / file).is_file() for file in mutant.suite), mutant.name


# the judge


def test_a_text_that_stands_twice_or_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n")
    for old, count in (("= 1", 2), ("= 2", 0)):
        with pytest.raises(CheckFailed, match=f"m: its text stands {count} times in a.py, expected once"):
            apply(Mutant("m", "a.py", old, "", "", ""), tmp_path)
    apply(Mutant("m", "a.py", "x = 1", "x = 3", "", ""), tmp_path)
    assert (tmp_path / "a.py").read_text() == "x = 3\ny = 1\n"


def test_a_difference_is_counted_and_another_shape_or_type_is_no_witness() -> None:
    ones = {"a": np.ones(3), "b": np.array([np.nan, 1.0])}
    assert difference(ones, {"a": np.ones(3), "b": np.array([np.nan, 1.0])}) == ""
    assert difference(ones, {"a": np.array([1.0, 2.0, 3.0]), "b": ones["b"]}) == "2 of 3 `a` (1 to 3)"
    for other in (np.ones(4), np.ones(3, np.float32)):
        with pytest.raises(CheckFailed, match="names, shapes or types of the witness differ"):
            difference(ones, {"a": other, "b": ones["b"]})


FAILURES = '''
import pytest

def test_passes():
    pass

def test_of_shapes():
    import numpy
    numpy.zeros(2) + numpy.zeros(3)

@pytest.fixture
def asserting():
    assert False

def test_of_a_fixture(asserting):
    pass

def test_of_an_assertion():
    assert 1 == 2, "one is not two"

def test_after_it():
    pass
'''


def caught(folder: Path, source: str) -> dict[str, Any]:
    """The report of tests.mutation.catching on one test file."""
    (folder / "test_it.py").write_text(source)
    report = folder / "report.json"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "setup.cfg"), "-p", "tests.mutation.catching",
         "--caught-report", str(report), str(folder / "test_it.py")],
        cwd=ROOT, capture_output=True, timeout=120,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(report.read_text())
    return result


def test_only_a_failed_assertion_of_a_tests_body_catches(tmp_path: Path) -> None:
    report = caught(tmp_path, FAILURES)
    assert report["caught"]["test"].endswith("::test_of_an_assertion")
    assert report["caught"]["words"].startswith("one is not two")
    assert [(error["error"], error["phase"]) for error in report["errors"]] == [
        ("ValueError", "call"), ("AssertionError", "setup"),
    ]  # fmt: skip
    assert report["passed"] == 1  # it stopped


def test_a_module_that_cannot_be_imported_catches_nothing(tmp_path: Path) -> None:
    report = caught(tmp_path, "import no_such_module\n")
    assert report["caught"] is None and report["exit"] != 0
    assert [error["phase"] for error in report["errors"]] == ["collect"]


def test_the_table_goes_between_the_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between_markers(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    page.write_text("no table here\n")
    with pytest.raises(ValueError, match="page.md: has no lines"):
        write_between_markers(page, "new")
