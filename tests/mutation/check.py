"""What becomes of one mutant, and of the copy that is not changed."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from tests.mutation.mutants import MUTANTS, Mutant
from tests.mutation.trees import CheckFailed, apply, copy_of, difference, suite_in, suite_of, witnesses_in
from tests.mutation.witnesses import Values

__all__ = ["Result", "check_mutant", "check_unchanged"]


class Result(NamedTuple):
    """One row of the table."""

    mutant: Mutant
    witness: str  # what changed
    test: str  # which test's assertion failed
    words: str  # the first line of what it said
    other_errors: int  # failures before it that were no assertions
    seconds: float


def check_unchanged(original: Path, work: Path) -> tuple[int, dict[str, Values]]:
    """The script on a copy without a change: witnesses the same in both trees, every test passes.

    `original` is then replaced by this very copy, in which Python has compiled what the mutants share.

    Returns:
        how many tests passed, and what each witness computes in the original.

    Raises:
        CheckFailed: a witness changed by itself, or a test failed.
    """
    tree = work / "tree"
    work.mkdir(exist_ok=True)
    copy_of(original, tree)
    names = sorted({mutant.witness for mutant in MUTANTS})
    records, again = witnesses_in(original, names, work), witnesses_in(tree, names, work)
    for name in names:
        changed = difference(records[name], again[name])
        if changed:
            raise CheckFailed(f"witness {name} is not repeatable: {changed}")
    _, report = suite_in(tree, work, suite_of(tree, None), names[0])
    failed = ([report["caught"]] if report["caught"] else []) + report["errors"]
    if failed or report["exit"] != 0 or report["passed"] == 0:
        which = f"{failed[0]['test']} ({failed[0]['words']})" if failed else f"pytest ended with {report['exit']}"
        raise CheckFailed(f"the copy without a change fails: {which}")
    shutil.rmtree(original)
    tree.rename(original)
    return report["passed"], records


def check_mutant(mutant: Mutant, original: Path, records: dict[str, Values], work: Path) -> Result:
    """Witness, then tests.

    Raises:
        CheckFailed: the text is not found once, no output changes, or no assertion fails.
    """
    start = time.monotonic()
    tree = work / "tree"
    work.mkdir(exist_ok=True)
    copy_of(original, tree)
    apply(mutant, tree)
    values, report = suite_in(tree, work, mutant.suite or suite_of(tree, mutant.file), mutant.witness)
    changed = difference(records[mutant.witness], values)
    if not changed:
        raise CheckFailed(f"the mutant changes nothing that witness {mutant.witness} sees")
    caught = report["caught"]
    if caught is None:
        errors = report["errors"]
        first = f"; {len(errors)} failures are no assertions, first {errors[0]}" if errors else ""
        raise CheckFailed(f"survives: {report['passed']} tests passed, no assertion failed{first}")
    seconds = time.monotonic() - start
    return Result(mutant, changed, caught["test"], caught["words"], len(report["errors"]), seconds)
