"""Break VSP in many small ways, and see that the tests notice each.

The tree is copied; in the copy, one mutant after the other is written. A mutant must first change what its witness
computes, then an assertion of the tests must fail. A copy without a change goes through the same first.
"""

import logging
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import click

from tests.mutation.check import Result, check_mutant, check_unchanged
from tests.mutation.mutants import MUTANTS, Mutant
from tests.mutation.table import markdown, write_between_markers
from tests.mutation.trees import CheckFailed, export

_log = logging.getLogger("mutation")


@click.command(help=__doc__)
@click.option("--only", multiple=True, metavar="NAME", help="check this mutant; may be given again")
@click.option("--list", "listed", is_flag=True, help="say what there is, and stop")
@click.option("--write", type=click.Path(path_type=Path), help="page whose mutation table is written anew")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="mutants checked side by side")
@click.option("--keep", type=click.Path(path_type=Path), help="work in this folder, and leave it")
def main(only: tuple[str, ...], listed: bool, write: Path | None, jobs: int, keep: Path | None) -> None:
    """See the module."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if listed:
        for mutant in MUTANTS:
            _log.info("%-36s %s: in this mutant, %s", mutant.name, mutant.file, mutant.breaks)
        return
    unknown = set(only) - {mutant.name for mutant in MUTANTS}
    if unknown:
        raise click.UsageError(f"there is no mutant {sorted(unknown)[0]!r}. See --list.")
    if only and write:
        raise click.UsageError("--write needs all mutants. Leave out --only.")
    work = keep or Path(tempfile.mkdtemp(prefix="mutation-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        sys.exit(_run(work.resolve(), only, write, jobs))
    finally:
        if keep is None:
            shutil.rmtree(work, ignore_errors=True)


def _run(work: Path, only: tuple[str, ...], write: Path | None, jobs: int) -> int:
    """The exit status: 1 if the unchanged copy fails or any mutant is not caught."""
    start = time.monotonic()
    original = work / "original"
    export(original)
    try:
        n_passed, records = check_unchanged(original, work / "0")
    except CheckFailed as failure:
        _log.error("unchanged: %s", failure)
        return 1
    _log.info("unchanged: %d tests passed, %.0f s", n_passed, time.monotonic() - start)
    desks: Queue[Path] = Queue()
    for k in range(jobs):
        desks.put(work / str(k))

    def check(mutant: Mutant) -> Result | None:
        desk = desks.get()
        try:
            result = check_mutant(mutant, original, records, desk)
        except CheckFailed as failure:
            _log.error("%s: NOT CAUGHT: %s", mutant.name, failure)
            return None
        finally:
            desks.put(desk)
        _log.info(
            "%s: caught by %s (%s); witness %s: %s; %d other errors before; %.0f s",
            mutant.name, result.test, result.words, mutant.witness, result.witness, result.other_errors,
            result.seconds,
        )  # fmt: skip
        return result

    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    with ThreadPoolExecutor(jobs) as pool:
        results = [result for result in pool.map(check, chosen) if result is not None]
    seconds = time.monotonic() - start
    _log.info("%d mutants caught, %d not, %.0f s", len(results), len(chosen) - len(results), seconds)
    if len(results) < len(chosen):
        return 1
    if write is not None:
        write_between_markers(write, markdown(results, n_passed, seconds))
    return 0


if __name__ == "__main__":
    main()
