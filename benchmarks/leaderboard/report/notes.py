"""Sentences that a table owes its readers: what was not run, unequal numbers, what an interval cannot say."""

from typing import Any, Iterator, Mapping

from benchmarks.leaderboard.results import FAILED, FINISHED, NOT_RUN, REFUSED, RUNNING

__all__ = ["notes"]

FEW = 10  # runs below which intervals are said to be too narrow

HOW = (
    "Intervals are 95 % percentile intervals of a bootstrap over runs, stratified by task: 50,000 replicates for means "
    "and aggregates, 2,000 for curves, profiles and the probability of improvement. Of one run there is no interval."
)
RANK = (
    "Ranks are by the mean final return of a task. Algorithms whose intervals overlap, or are joined by a chain of "
    "overlaps, share a rank; without an interval, or before all runs are finished, there is none."
)
AXIS = "The x-axis is environment steps, not decisions and not macro-actions."
FINAL = (
    "Final: mean return of the last test of each finished run. Absolute: the model with the best test so far, on "
    "episodes with seeds of their own."
)
NORMALISED = "Normalised: 0 is uniformly random play, 1 the scripted or known best of the task; neither is a bound."


def notes(data: Mapping[str, Any]) -> list[str]:
    """The notes of a report that is otherwise complete."""
    return [AXIS, FINAL, NORMALISED, HOW, RANK, *_coverage(data), *_tasks(data), *_runs(data), *_suites(data)]


def _coverage(data: Mapping[str, Any]) -> Iterator[str]:
    numbers = [row["n"] for row in data["rows"] if row["n"] > 1]
    if numbers and min(numbers) < FEW:
        yield (
            f"The smallest number of runs behind an interval is {min(numbers)}. Bootstrap intervals of so few runs are "
            "too narrow: where 95 % are said, the true mean is in about 50 % of the intervals over 2 runs of normally "
            "distributed returns, in 74 % over 3, 82 % over 5 and 90 % over 10."
        )


def _tasks(data: Mapping[str, Any]) -> Iterator[str]:
    for task in data["tasks"]:
        if not task["available"]:
            yield f"{task['title']} is not available: {task['why']}."
        elif task["best"] is None:
            yield f"{task['title']} has no reference scores with these settings: nothing normalised counts it."


def _runs(data: Mapping[str, Any]) -> Iterator[str]:
    available = {task["key"]: task["title"] for task in data["tasks"] if task["available"]}
    titles = {each["name"]: each["title"] for each in data["algorithms"]}
    asked = len(data["protocol"]["seeds"])
    for row in data["rows"]:
        if row["task"] in available and row["n"] < asked:
            others = {state: row["states"][state] for state in (RUNNING, FAILED, REFUSED, NOT_RUN)}
            told = ", ".join(f"{count} {state}" for state, count in others.items() if count)
            where = f"{titles[row['algorithm']]} on {available[row['task']]}"
            yield f"{where}: {row['n']} of {asked} runs {FINISHED} ({told})."


def _suites(data: Mapping[str, Any]) -> Iterator[str]:
    sets = {frozenset(each["tasks"]) for each in data["aggregates"]}
    if len(sets) > 1:
        sizes = sorted(map(len, sets))
        over = f"{sizes[0]} to {sizes[-1]}" if sizes[0] < sizes[-1] else f"different sets of {sizes[0]}"
        yield (
            f"Aggregates are over {over} tasks, those where an algorithm has finished runs: compare only algorithms "
            "with the same tasks. Over all tasks only algorithms with one and the same set are ranked: the largest, of "
            "equally large ones the more frequent."
        )
    if len({row["n"] for row in data["rows"] if row["n"]}) > 1:
        yield "Numbers of runs differ. Every task counts the same in aggregates, whatever its number of runs."
    if any(each["iqm"]["low"] is None for each in data["aggregates"]):
        yield "An algorithm with a task of one finished run has no intervals of its aggregates."
