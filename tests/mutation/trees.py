"""Copies of the source tree, a mutant in one of them, and what witnesses and tests say there.

Everything happens in subprocesses that see one tree only.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from tests.mutation.mutants import Mutant
from tests.mutation.reach import files_that_notice
from tests.mutation.witnesses import Values, load

ROOT = Path(__file__).resolve().parents[2]
# Theory first: where a theorem's test catches a mutant, the table shall name it.
SUITE = (
    "tests/theory",
    "tests/plugins/vsp",
    "tests/plugins/learners",
    "tests/plugins/mixers",
    "tests/async_envs/tabular",
    "tests/registry/test_verify.py",
)
LEFT_OUT_FILES = (
    "tests/theory/test_theorem_2_trained.py",  # trains networks, for minutes
    "tests/theory/test_theorem_2_whole_run.py",
    "tests/theory/test_strategies.py",  # about shrinking, which the profile `mutation` switches off
)
LEFT_OUT = "not slow and not nightly and not gpu and not upstream"
WITNESS_LIMIT_S, SUITE_LIMIT_S = 300, 1800
NOT_ONCE = "{name}: its text stands {count} times in {file}, expected once. Write `old` anew."


class CheckFailed(Exception):
    """The check cannot say that the mutant is caught; one line."""


def check_once(mutant: Mutant, source: str) -> None:
    """Refuse a mutant whose text does not stand exactly once in `source`.

    Raises:
        CheckFailed: naming the mutant, how often, and the file.
    """
    count = source.count(mutant.old)
    if count != 1:
        raise CheckFailed(NOT_ONCE.format(name=mutant.name, count=count, file=mutant.file))


def export(tree: Path) -> None:
    """A copy at `tree` of the files that git knows or does not ignore."""
    shutil.rmtree(tree, ignore_errors=True)
    asked = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def copy_of(source: Path, tree: Path) -> None:
    """A fresh copy of a tree, with its files' times, by which Python and numba know what they have compiled."""
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source, tree)


def apply(mutant: Mutant, tree: Path) -> None:
    """Write the mutant into the tree.

    Raises:
        CheckFailed: its text does not stand exactly once.
    """
    path = tree / mutant.file
    source = path.read_text(encoding="utf-8")
    check_once(mutant, source)
    path.write_text(source.replace(mutant.old, mutant.new), encoding="utf-8")


def witnesses_in(tree: Path, names: Sequence[str], work: Path) -> dict[str, Values]:
    """What the witnesses compute in the tree.

    Raises:
        CheckFailed: one ended with an error.
    """
    file = work / "witness.npz"
    file.unlink(missing_ok=True)
    done = _python(tree, work, ["-m", "tests.mutation.witnesses", str(file), *names], WITNESS_LIMIT_S)
    return _read(file, done.stderr)


def difference(original: Values, mutant: Values) -> str:
    """Where two records differ, with the pair that is furthest apart; "" if nowhere.

    Raises:
        CheckFailed: names, shapes or types differ, so the mutant is broken in another way than it says.
    """
    for record in (original, mutant):
        if not record or any(values.size == 0 for values in record.values()):
            raise CheckFailed("a witness has nothing to compare")
    kinds = [{name: (x.shape, x.dtype) for name, x in record.items()} for record in (original, mutant)]
    if kinds[0] != kinds[1]:
        raise CheckFailed("names, shapes or types of the witness differ")
    moved = []
    for name, before in original.items():
        after = mutant[name]
        differs = (before != after) & ~((before != before) & (after != after))  # NaN is equal to NaN here
        if differs.any():
            most = np.abs(before[differs].astype(float) - after[differs].astype(float)).argmax()
            pair = f"{before[differs][most]:.4g} to {after[differs][most]:.4g}"
            moved.append(f"{int(differs.sum())} of {differs.size} `{name}` ({pair})")
    return ", ".join(moved)


def suite_of(tree: Path, changed: str | None) -> list[str]:
    """The test files of SUITE that can notice a change of the file `changed`, in the order in which they run.

    None: all of them.
    """
    return [file for file in files_that_notice(tree, SUITE, changed) if file not in LEFT_OUT_FILES]


def suite_in(tree: Path, work: Path, paths: Sequence[str], witness: str) -> tuple[Values, dict[str, Any]]:
    """In one process: a witness, then the tests at `paths` until an assertion fails.

    Returns:
        what the witness computed, and the report of tests.mutation.catching.

    Raises:
        CheckFailed: the witness ended with an error, there is no report, or the tests looked at other code.
    """
    report_file, witness_file = work / "caught.json", work / "witness.npz"
    report_file.unlink(missing_ok=True)
    witness_file.unlink(missing_ok=True)
    arguments = ["-m", "pytest", "-q", "-p", "tests.mutation.catching", "-m", LEFT_OUT]
    arguments += ["--caught-report", str(report_file), "--witness", witness, "--witness-file", str(witness_file)]
    done = _python(tree, work, [*arguments, *paths], SUITE_LIMIT_S)
    (work / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    values = _read(witness_file, done.stderr)[witness]
    if not report_file.exists():
        raise CheckFailed(f"the tests wrote no report; {work / 'pytest.log'} has what they said")
    report: dict[str, Any] = json.loads(report_file.read_text())
    if not Path(report["code"]).is_relative_to(tree.resolve()):
        raise CheckFailed(f"the tests looked at {report['code']} instead of {tree}")
    return values, report


def _read(file: Path, said: str) -> dict[str, Values]:
    if not file.exists():
        last = (said.strip() or "no words").splitlines()[-1]
        raise CheckFailed(f"a witness ended with an error: {last}")
    return load(file)


def _python(
    tree: Path, work: Path, arguments: Sequence[str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "src")]),
        "HYPOTHESIS_PROFILE": "mutation",
        "OMP_NUM_THREADS": "1",
        "ASYNC_EPYMARL_CACHE": str(work / "kernels"),
    }
    try:
        return subprocess.run(
            [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True,
            timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"python {' '.join(arguments[:2])} took longer than {limit_s} s") from None
