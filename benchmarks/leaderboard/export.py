"""Results for other tools: marl-eval's JSON, and a row an episode as CSV or Parquet. Nothing is averaged.

marl-eval (https://github.com/instadeepai/marl-eval) reads environment -> task -> algorithm -> run -> step_k ->
{step_count, metric: [one value an episode]}, and beside the steps absolute_metrics. It takes runs as complete, so only
finished ones are written there; tables hold every run with its state.
"""

import csv
import io
import json
import math
import os
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import numpy as np

from async_envs.core.keys import parse
from benchmarks.leaderboard.results import FINISHED, Results, Run, Test

__all__ = ["COLUMNS", "FORMATS", "export", "marl_eval", "rows"]

COLUMNS = (
    "protocol", "task", "algorithm", "seed", "state", "kind", "step", "training_decisions", "wall_s", "episode",
)  # fmt: skip
TEST, ABSOLUTE = "test", "absolute"  # kinds
NO_PYARROW = "export: --format=parquet needs the package pyarrow, which is not installed. Run pip install pyarrow."


def export(results: Results, format_name: str, path: Path) -> Path:
    """Write `results`, read with all columns, to a file: whole or not at all.

    Raises:
        ValueError: Parquet without pyarrow; one line.
        OSError: the disk refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        FORMATS[format_name][1](results, aside)
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def value_names(results: Results) -> list[str]:
    """Every value that some episode has, in the order met."""
    names: dict[str, None] = {}
    for run in results.runs:
        names.update(dict.fromkeys(run.tests.columns))
        names.update(dict.fromkeys(run.absolute.values if run.absolute is not None else ()))
    return list(names)


def tests_of(run: Run) -> Iterator[tuple[str, Test]]:
    """(kind, test) of everything that a run was tested in."""
    for test in run.tests:
        yield TEST, test
    if run.absolute is not None:
        yield ABSOLUTE, run.absolute


def rows(results: Results, run: Run, names: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """A row of COLUMNS and values for each episode; None for what was not recorded."""
    names = list(names)
    for kind, test in tests_of(run):
        n = len(next(iter(test.values.values()), ()))
        table = [_listed(test.values[name]) if name in test.values else [None] * n for name in names]
        head = (results.protocol.name, run.task, run.algorithm, run.seed, run.state, kind, test.step)
        for episode, values in enumerate(zip(*table)):
            yield (*head, test.decisions, test.wall_s, episode, *values)


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def marl_eval(run: Run) -> dict[str, Any]:
    """One run as marl-eval holds it. Infinities and NaN, which JSON lacks, are null."""
    steps: dict[str, Any] = {
        f"step_{k}": {"step_count": test.step, **_metrics(test)} for k, test in enumerate(run.tests)
    }
    if run.absolute is not None:
        steps["absolute_metrics"] = _metrics(run.absolute)
    return steps


def _metrics(test: Test) -> dict[str, list[float | None]]:
    return {
        name: [value if math.isfinite(value) else None for value in values.tolist()]
        for name, values in test.values.items()
    }


def _write_marl_eval(results: Results, path: Path) -> None:
    """A run at a time, as all of them together may be larger than the memory."""
    tree: dict[str, dict[str, dict[str, dict[str, Run]]]] = {}
    for run in results.runs:
        if run.state == FINISHED:
            family, task = parse(run.task).family, run.task.partition(":")[2]
            tree.setdefault(family, {}).setdefault(task, {}).setdefault(run.algorithm, {})[f"seed_{run.seed}"] = run
    with path.open("w", encoding="utf-8") as file:
        _write_tree(file, tree)
        file.write("\n")


def _write_tree(file: io.TextIOBase | Any, tree: Any) -> None:
    if isinstance(tree, Run):
        json.dump(marl_eval(tree), file, allow_nan=False)
        return
    file.write("{")
    for k, (name, below) in enumerate(tree.items()):
        file.write(f"{',' if k else ''}\n{json.dumps(name)}: ")
        _write_tree(file, below)
    file.write("}")


def _write_csv(results: Results, path: Path) -> None:
    names = value_names(results)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*COLUMNS, *names))
        for run in results.runs:
            writer.writerows(rows(results, run, names))


def _write_parquet(results: Results, path: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(NO_PYARROW) from None
    text, whole, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
    types = (text, text, text, whole, text, text, whole, whole, real, whole)
    names = value_names(results)
    schema = pyarrow.schema([*zip(COLUMNS, types), *((name, real) for name in names)])
    with parquet.ParquetWriter(path, schema) as writer:
        for run in results.runs:
            columns = list(zip(*rows(results, run, names)))
            if columns:
                arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema)]
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


# name of a format -> its file's name, and what writes it
FORMATS: dict[str, tuple[str, Callable[[Results, Path], None]]] = {
    "marl-eval": ("marl-eval.json", _write_marl_eval),
    "csv": ("episodes.csv", _write_csv),
    "parquet": ("episodes.parquet", _write_parquet),
}
