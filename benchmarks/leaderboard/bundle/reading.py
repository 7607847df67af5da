"""A bundle as `Results`, so that everything that reads a results folder reads a bundle, and a board of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

import numpy as np

from async_envs.core import keys as core_keys
from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle.contents import RunFiles, TestLine, read_run
from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.names import BUNDLE
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.schema import check_form
from benchmarks.leaderboard.protocol import Protocol
from benchmarks.leaderboard.records import NO_TESTS, Test, Tests
from benchmarks.leaderboard.results import NOT_RUN, Results, Run
from registry import catalog

__all__ = ["About", "bundle_results", "read_about", "run_of"]

TWICE = "{folder}: {cell} is there twice."
ELSEWHERE = "{folder}: its run.json says {cell}, expected what its folder says."
FOREIGN = "{key}: a task of others. A bundle cannot hold it: whoever verifies it would run whatever module it names."
BAD_PROTOCOL = f"{BUNDLE}: its protocol is not accepted: {{error}}"


@dataclass(frozen=True)
class About:
    """bundle.json."""

    said: Mapping[str, Any]
    protocol: Protocol

    @property
    def name(self) -> str:
        """The submission's."""
        return str(self.said["submission"]["name"])

    @property
    def folders(self) -> tuple[str, ...]:
        """Where its runs lie."""
        return tuple(self.said["runs"])


def read_about(files: Files) -> About:
    """bundle.json, its protocol checked against its own hash.

    Raises:
        Refused: it does not have the form, or its protocol is not one.
    """
    said = files.json(BUNDLE)
    check_form("bundle", said, BUNDLE)
    try:
        protocol = protocols.checked(said["protocol"], Path(BUNDLE))
    except ValueError as error:
        raise Refused(BAD_PROTOCOL.format(error=error)) from error
    Refused.unless_empty(foreign_reasons(protocol))
    return About(said, protocol)


def foreign_reasons(protocol: Protocol) -> list[str]:
    """Tasks that are code of others, named by their keys: to verify them would be to import and run what they name."""
    keys = [task.key for task in protocol.tasks if catalog.is_key(task.key)]
    return [FOREIGN.format(key=harmless(key)) for key in keys if core_keys.parse(key).family in catalog.OF_OTHERS]


def bundle_results(files: Files, columns: Iterable[str] | None = None) -> Results:
    """Every cell of the bundle's protocol, those that were not submitted as not run.

    Args:
        files: of `open_files`.
        columns: which values of the episodes to keep; None keeps all.

    Raises:
        Refused: a file that is not what it should be.
    """
    about = read_about(files)
    wanted = None if columns is None else set(columns)
    runs: dict[tuple[str, str, int], Run] = {}
    for folder in about.folders:
        read = read_run(files, folder)
        if read.cell in runs:
            raise Refused(TWICE.format(folder=folder, cell=read.name))
        runs[read.cell] = run_of(read, Path(files.archive.where) / folder, wanted)
    return results_of(about.protocol, runs, Path(files.archive.where))


def results_of(protocol: Protocol, runs: Mapping[tuple[str, str, int], Run], folder: Path) -> Results:
    """`runs` in the protocol's order, with those that are not there."""
    cells = [
        runs.get((task.key, algorithm, seed))
        or Run(task.key, algorithm, seed, NOT_RUN, protocols.available(task), NO_TESTS, None, {}, folder)
        for task in protocol.tasks for algorithm in protocol.algorithms for seed in protocol.seeds
    ]  # fmt: skip
    return Results(protocol, tuple(cells), folder)


def run_of(read: RunFiles, folder: Path, columns: set[str] | None = None) -> Run:
    """One run of a bundle as one of a results folder."""
    task, algorithm, seed = read.cell
    provenance: Sequence[Mapping[str, Any]] = read.run["provenance"]
    absolute = None
    if read.evaluation is not None:
        kinds = [kind for kind in read.episodes[0].values if columns is None or kind in columns]
        values = {kind: np.array([each.values.get(kind, np.nan) for each in read.episodes]) for kind in kinds}
        absolute = Test(read.evaluation["step"], None, None, values)
    return Run(
        task, algorithm, seed, read.run["state"], read.run["reason"], _columns(read.tests, columns), absolute,
        dict(provenance[-1]) if provenance else {}, folder,
    )  # fmt: skip


def _columns(tests: Sequence[TestLine], columns: set[str] | None) -> Tests:
    if not tests:
        return NO_TESTS
    kinds = dict.fromkeys(kind for test in tests for kind in test.values if columns is None or kind in columns)
    counts = [len(test.values["return"]) for test in tests]
    return Tests(
        np.array([test.step for test in tests], np.int64),
        np.array([test.decisions for test in tests], np.float64),
        np.array([test.wall_s for test in tests], np.float64),
        np.array(counts, np.int64),
        {
            kind: np.concatenate([test.values.get(kind, np.full(n, np.nan)) for test, n in zip(tests, counts)])
            for kind in kinds
        },
    )
