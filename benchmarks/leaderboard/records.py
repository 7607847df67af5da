"""Tests of a run as columns, read quickly from its records.jsonl or from the episodes of its absolute metric.

A long run's record holds some 14 MB, a leaderboard some gigabytes: lines are checked against their checksum as
`registry.recorder` does, but only tests are decoded, and of them only the columns asked for.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Callable, ClassVar, Iterable, Iterator, Mapping, overload

import numpy as np

from registry.records import DAMAGED, NO_RECORD, RECORDS, decode

__all__ = ["Record", "Test", "Tests", "read_episodes", "read_record"]

AT_ONCE = 2_000  # episodes held as objects while they are read
NOT_VALUES = ("seed", "actions")  # of an episode
BACKWARDS = "{where}: the test at step {step} follows one at step {before}, expected rising steps. Restore the file."
NO_EPISODES = "{where}: line {line} is no episode ({error}). Restore the file from a copy."

_TEST, _PROVENANCE = b'{"kind": "test"', b'{"kind": "provenance"'
_TAIL = len(b', "crc": "00000000"}\n')


@dataclass(frozen=True)
class Test:
    """Test episodes at one moment of a run."""

    __test__: ClassVar[bool] = False  # no test of pytest's

    step: int  # environment steps of training before it
    decisions: int | None  # training decisions before it, where recorded
    wall_s: float | None  # seconds of training before it, where recorded
    values: Mapping[str, np.ndarray]  # "return", "length", the family's metrics: [n] float64, one an episode


@dataclass(frozen=True)
class Tests(Sequence[Test]):
    """The tests of a run: a sequence of `Test`, held as columns. P tests, n_p episodes each."""

    __test__: ClassVar[bool] = False

    steps: np.ndarray  # [P] int64
    decisions: np.ndarray  # [P] float64, NaN where not recorded
    wall_s: np.ndarray  # [P] float64, NaN where not recorded
    counts: np.ndarray  # [P] int64, at least 1: episodes of each test
    columns: Mapping[str, np.ndarray]  # name -> [sum of counts] float64, NaN where an episode lacks it

    @classmethod
    def of(cls, tests: Iterable[Test]) -> "Tests":
        """Columns of tests that share their values' names."""
        tests = list(tests)
        if not tests:
            return NO_TESTS
        return cls(
            np.array([test.step for test in tests], np.int64),
            np.array([test.decisions for test in tests], np.float64),
            np.array([test.wall_s for test in tests], np.float64),
            np.array([len(next(iter(test.values.values()))) for test in tests], np.int64),
            {name: np.concatenate([test.values[name] for test in tests]) for name in tests[0].values},
        )

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: int) -> Test: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Test, ...]: ...

    def __getitem__(self, index: int | slice) -> Test | tuple[Test, ...]:
        """A test, or several."""
        if isinstance(index, slice):
            return tuple(self[k] for k in range(*index.indices(len(self))))
        k = range(len(self))[index]  # negative ones and IndexError as lists have them
        begin = int(self.counts[:k].sum())
        end = begin + int(self.counts[k])
        return Test(
            int(self.steps[k]),
            None if np.isnan(self.decisions[k]) else int(self.decisions[k]),
            None if np.isnan(self.wall_s[k]) else float(self.wall_s[k]),
            {name: column[begin:end] for name, column in self.columns.items()},
        )

    def means(self, name: str) -> np.ndarray:
        """[P] float64: mean over the episodes of each test."""
        if not len(self):
            return np.zeros(0)
        begins = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        means: np.ndarray = np.add.reduceat(self.columns[name], begins) / self.counts
        return means


NO_TESTS = Tests(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.int64), {})


@dataclass(frozen=True)
class Record:
    """What a run's record says that a report needs."""

    tests: Tests = NO_TESTS
    provenance: Mapping[str, Any] = field(default_factory=dict)  # of its latest start, {} where not recorded


def read_record(run_dir: Path, columns: Iterable[str] | None = None) -> Record:
    """The tests and provenance of a run; a last line cut off by a kill is left out.

    Args:
        run_dir: the folder of records.jsonl.
        columns: which values of the episodes to read, those that there are; None reads all.

    Raises:
        ValueError: no record, a damaged line before the last, or steps that do not rise; one line.
    """
    path = Path(run_dir) / RECORDS
    if not path.is_file():
        raise ValueError(NO_RECORD.format(path=path))
    tests, provenance = [], b""
    for line in _whole_lines(path):
        kind = bytes(line[: len(_PROVENANCE)])
        if kind.startswith(_TEST):
            tests.append(line)
        elif kind == _PROVENANCE:
            provenance = bytes(line)
    found = _tests_of(tests, columns, path)
    falls = np.flatnonzero(np.diff(found.steps) <= 0)
    if len(falls):
        before, step = found.steps[falls[0]], found.steps[falls[0] + 1]
        raise ValueError(BACKWARDS.format(where=path, step=step, before=before))
    return Record(found, (decode(provenance) or {}) if provenance else {})


def _whole_lines(path: Path) -> Iterator[memoryview]:
    """The lines whose checksum matches; raises for one that does not unless all behind it do not either."""
    content = path.read_bytes()
    view = memoryview(content)  # its slices are no copies
    begin, number, damaged = 0, 0, 0
    while begin < len(content):
        end = content.find(b"\n", begin) + 1 or len(content)
        line, begin, number = view[begin:end], end, number + 1
        if not _is_whole(line):
            damaged = damaged or number
        elif damaged:
            raise ValueError(DAMAGED.format(where=path, line=damaged))
        else:
            yield line


def _is_whole(line: memoryview) -> bool:
    tail = bytes(line[-_TAIL:])
    if not (len(line) > _TAIL and tail.startswith(b', "crc": "') and tail.endswith(b'"}\n')):
        return False
    return b"%08x" % zlib.crc32(b"}", zlib.crc32(line[:-_TAIL])) == tail[-11:-3]


def _tests_of(lines: Sequence[memoryview], columns: Iterable[str] | None, path: Path) -> Tests:
    """Columns of test records."""
    if not lines:
        return NO_TESTS
    episodes = [json.loads(bytes(line))["episodes"] for line in (lines[0], lines[-1])]
    there = dict.fromkeys(name for each in episodes for name in (each[0] if each else {}) if name not in NOT_VALUES)
    names = [name for name in there if columns is None or name in set(columns)]
    read, table_of = decoder(names, is_record=True)
    steps, decisions, wall_s, counts, tables = [], [], [], [], []
    pending: list[Any] = []
    for line in lines:
        step, decided, seconds, episodes = read(line)
        if not episodes:
            continue
        steps.append(step)
        decisions.append(decided)
        wall_s.append(seconds)
        counts.append(len(episodes))
        pending.extend(episodes)
        if len(pending) > AT_ONCE:
            tables.append(table_of(pending))
            pending = []
    tables.append(table_of(pending))
    return Tests(
        np.array(steps, np.int64),
        np.array(decisions, np.float64),
        np.array(wall_s, np.float64),
        np.array(counts, np.int64),
        dict(zip(names, np.concatenate(tables, axis=1))),
    )


def read_episodes(path: Path, columns: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """name -> [n] float64 of a file with an episode on each line; actions are passed over.

    Raises:
        ValueError: a line that is no episode, or none; one line.
    """
    lines = path.read_bytes().splitlines()
    try:
        there = [name for name in json.loads(lines[0]) if name not in NOT_VALUES] if lines else []
        names = [name for name in there if columns is None or name in set(columns)]
        read, table_of = decoder(names, is_record=False)
    except (ValueError, TypeError) as error:
        raise ValueError(NO_EPISODES.format(where=path, line=1, error=error)) from error
    episodes = []
    for number, line in enumerate(lines, start=1):
        try:
            episodes.append(read(line))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(NO_EPISODES.format(where=path, line=number, error=error)) from error
    return dict(zip(names, table_of(episodes)))


def decoder(
    names: Sequence[str], is_record: bool
) -> tuple[Callable[[Any], Any], Callable[[Sequence[Any]], np.ndarray]]:
    """Two functions: what decodes a line, and what makes a table of episodes.

    The first gives (step, decisions, wall_s, episodes) of a record, or the episode of a line; the second takes such
    episodes and gives their values `names`, [len(names), n] float64 with NaN where an episode lacks one. NaN and
    infinities are text on disk.
    """
    try:
        import msgspec
    except ImportError:  # the same, several times slower
        return (_read_record if is_record else json.loads), partial(_table, names=names, get=_get_item)
    labels = [f"column_{k}" for k in range(len(names))]  # names on disk need not be names of Python
    episode = msgspec.defstruct(
        "Episode", [(label, float | str | None, None) for label in labels], rename=dict(zip(labels, names)), gc=False
    )
    table_of = partial(_table, names=labels, get=attrgetter)
    if not is_record:
        return msgspec.json.Decoder(episode).decode, table_of
    fields: list[Any] = [
        ("t_env", int),
        ("episodes", list[episode]),  # type: ignore[valid-type]
        ("decisions", float | None, None),
        ("wall_s", float | None, None),
    ]
    read = msgspec.json.Decoder(msgspec.defstruct("Record", fields, gc=False)).decode
    return (lambda line: attrgetter("t_env", "decisions", "wall_s", "episodes")(read(line))), table_of


def _table(episodes: Sequence[Any], names: Sequence[str], get: Callable[[str], Callable[[Any], Any]]) -> np.ndarray:
    columns = [np.array(list(map(get(name), episodes)), np.float64) for name in names]
    return np.stack(columns) if columns else np.zeros((0, len(episodes)))


def _read_record(line: memoryview) -> tuple[int, float | None, float | None, list[dict[str, Any]]]:
    found = json.loads(bytes(line))
    return found["t_env"], found.get("decisions"), found.get("wall_s"), found["episodes"]


def _get_item(name: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda episode: episode.get(name)
