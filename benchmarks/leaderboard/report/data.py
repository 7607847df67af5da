"""Everything a report says, as one dict ready for JSON; Markdown, plots and page only show it.

The x-axis is environment steps. A run's value at a step is linearly interpolated between its tests, each the mean of
its episodes. Finished runs alone enter tables and suites; curves hold all that was recorded, with n at each point.
"""

import math
from typing import Any, Mapping, Sequence

import numpy as np

from benchmarks.leaderboard.protocol import Protocol, Task, available, title
from benchmarks.leaderboard.report.algorithms import algorithms
from benchmarks.leaderboard.report.notes import notes
from benchmarks.leaderboard.report.origin import flat
from benchmarks.leaderboard.report.reading import finals, grid_of, listed, read_at
from benchmarks.leaderboard.report.suite import suite
from benchmarks.leaderboard.results import FAILED, FINISHED, NOT_RUN, REFUSED, RUNNING, Results, Run
from benchmarks.leaderboard.statistics.aggregates import normalised
from benchmarks.leaderboard.statistics.bootstrap import Interval, generator, mean_interval
from benchmarks.leaderboard.statistics.curves import mean_curve
from benchmarks.leaderboard.statistics.ranks import ranks
from registry import catalog

__all__ = ["COLUMNS", "report_data"]

SCHEMA = 1
COLUMNS = ("return", "battle_won")  # of the episodes: all that a report reads
STATES = (FINISHED, RUNNING, FAILED, REFUSED, NOT_RUN)
ENV = "env_args."
NOT_A_NUMBER = "the mean return of its last test is {value}"


def report_data(
    results: Results,
    name: str | None = None,
    tiers: Mapping[tuple[str, str], str] | None = None,
    told: Sequence[str] = (),
) -> dict[str, Any]:
    """The report of a results folder.

    Args:
        results: read with at least `COLUMNS`.
        name: title; the protocol's name otherwise.
        tiers: (task, algorithm) -> the tier that a submission reached.
        told: notes that come before the report's own.
    """
    protocol = results.protocol
    runs = [_checked(run) for run in results.runs]
    tasks = [_task(task, protocol) for task in protocol.tasks]
    by_row = {
        (task.key, algorithm): [run for run in runs if (run.task, run.algorithm) == (task.key, algorithm)]
        for task in protocol.tasks
        for algorithm in protocol.algorithms
    }
    scores = {task["key"]: (task["random"], task["best"]) for task in tasks if task["best"] is not None}
    rows = [_row(key, algorithm, found, scores.get(key), tiers or {}) for (key, algorithm), found in by_row.items()]
    for task in tasks:
        _rank([row for row in rows if row["task"] == task["key"]])
    finished = {row: [run for run in found if run.state == FINISHED] for row, found in by_row.items()}
    data = {
        "schema": SCHEMA,
        "title": name or f"Leaderboard: {protocol.name}",
        "protocol": {
            "name": protocol.name,
            "hash": protocol.hash,
            "seeds": list(protocol.seeds),
            "test_interval": protocol.test_interval,
            "test_nepisode": protocol.test_nepisode,
            "absolute_episodes": protocol.absolute_episodes,
            "settings": dict(protocol.settings),
        },
        "tasks": tasks,
        "algorithms": algorithms(protocol.algorithms),
        "rows": rows,
        "curves": {task.key: _curves(task, protocol, by_row) for task in protocol.tasks},
        **suite(protocol, finished, scores),
    }
    return {**data, "notes": [*told, *notes(data)]}


def _checked(run: Run) -> Run:
    """A finished run whose last test has no finite mean has failed."""
    if run.state != FINISHED:
        return run
    last = finals([run])
    if len(last) and np.isfinite(last[0]):
        return run
    reason = NOT_A_NUMBER.format(value=last[0] if len(last) else "missing")
    return Run(**{**vars(run), "state": FAILED, "reason": reason})


def _task(task: Task, protocol: Protocol) -> dict[str, Any]:
    why = available(task)
    scores = catalog.reference_scores(task.key) if why is None else None
    given = {**protocol.settings, **task.settings}
    moved = [] if scores is None else [
        name for name in given if name.startswith(ENV) and name.removeprefix(ENV) not in scores.holds_with
    ]  # fmt: skip
    usable = None if moved else scores
    return {
        "key": task.key,
        "title": title(task),
        "t_max": task.t_max,
        "available": why is None,
        "why": why,
        "random": None if usable is None else usable.random,
        "best": None if usable is None else usable.best,
        "best_how": None if usable is None else usable.best_how,
        "settings": dict(task.settings),
    }


def _row(
    key: str,
    algorithm: str,
    runs: Sequence[Run],
    scores: tuple[float, float] | None,
    tiers: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    finished = [run for run in runs if run.state == FINISHED]
    final = _interval(finals(finished), "final", key, algorithm)
    absolute = [value for value in map(_absolute, finished) if value is not None]
    steps = [run.tests[-1].step for run in finished]
    wins = finals(finished, "battle_won")
    return {
        "task": key,
        "algorithm": algorithm,
        "n": len(finished),
        "states": {state: sum(run.state == state for run in runs) for state in STATES},
        "steps": min(steps) if steps else None,
        "steps_most": max(steps) if steps else None,
        "final": final,
        "absolute": _interval(np.array(absolute), "absolute", key, algorithm),
        "win_rate": _interval(wins[np.isfinite(wins)], "win_rate", key, algorithm),
        "normalised": _normalised(final, scores),
        "rank": None,
        "tier": tiers.get((key, algorithm)),
        "runs": [_run(run) for run in runs],
    }


def _absolute(run: Run) -> float | None:
    """The absolute metric of a run; None where there is none, or it is no number."""
    value = math.nan if run.absolute is None else float(run.absolute.values["return"].mean())
    return value if math.isfinite(value) else None


def _interval(values: np.ndarray, *names: str) -> dict[str, Any] | None:
    if not len(values):
        return None
    found = mean_interval(values, generator(*names))
    return {"mean": found.point, "low": found.low, "high": found.high, "n": len(values)}


def _normalised(final: Mapping[str, Any] | None, scores: tuple[float, float] | None) -> dict[str, Any] | None:
    if final is None or scores is None:
        return None
    bounds = {name: final[name] for name in ("mean", "low", "high")}
    moved = {name: None if value is None else float(normalised(value, *scores)) for name, value in bounds.items()}
    return {**moved, "n": final["n"]}


def _rank(rows: Sequence[dict[str, Any]]) -> None:
    """Among rows whose runs are all finished: which seeds end first, or fail, may depend on how they go."""
    found = [
        Interval(row["final"]["mean"], row["final"]["low"], row["final"]["high"])
        if row["final"] is not None and row["n"] == len(row["runs"])
        else None
        for row in rows
    ]
    for row, place in zip(rows, ranks(found)):
        row["rank"] = place


def _run(run: Run) -> dict[str, Any]:
    last = run.tests[-1] if len(run.tests) else None
    is_finished = run.state == FINISHED and last is not None
    return {
        "seed": run.seed,
        "state": run.state,
        "reason": run.reason,
        "steps": None if last is None else last.step,
        "decisions": None if last is None else last.decisions,
        "wall_s": None if last is None else last.wall_s,
        "final": float(finals([run])[0]) if is_finished else None,
        "absolute": _absolute(run),
        "provenance": flat(run.provenance),
    }


def _curves(
    task: Task, protocol: Protocol, by_row: Mapping[tuple[str, str], Sequence[Run]]
) -> dict[str, dict[str, Any]]:
    grid = grid_of(task.t_max, protocol.test_interval)
    curves = {}
    for algorithm in protocol.algorithms:
        runs = [run for run in by_row[task.key, algorithm] if len(run.tests)]
        if runs:
            values = np.stack([read_at(run, grid, protocol.test_interval) for run in runs])
            band, counts = mean_curve(values, (task.key, algorithm))
            reached = counts > 0
            curves[algorithm] = {
                "step": [int(step) for step in grid[reached]],
                **{name: listed(values[reached]) for name, values in zip(("mean", "low", "high"), band)},
                "n": [int(count) for count in counts[reached]],
            }
    return curves
