"""Learning curves of finished cells: mean and spread over seeds, as JSON and CSV.

Each test of a run is the mean of its episodes. Runs test at slightly different steps, as episodes end when they
end: every run is read, by linear interpolation between its tests, at the multiples of its `test_interval` and
at t_max (before its first and after its last test: that test). The mean and the sample standard deviation (n - 1) are
over the runs; of one run there is no deviation.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from benchmarks.ablations.cells import Variant
from benchmarks.ablations.plan import FINISHED, Cell, Plan
from epymarl_lite.utils.files import write_file
from registry.records import RUNNING, read_records
from registry.verify_report import source_state

__all__ = ["COLUMNS", "curve", "report", "summary", "tests_of", "write"]

SCHEMA = 1
COLUMNS = ("ablation", "key", "variant", "metric", "step", "mean", "std", "n")
NOT_METRICS = ("seed", "length", "decisions", "episode_limit")
HOW = (
    "mean and sample standard deviation over n finished runs (one a seed); a run's value at a step is linearly "
    "interpolated between its tests, each the mean of its episodes"
)


def tests_of(run: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """metric -> (steps [P], means over the episodes of each test [P]), from a run's record."""
    tests = [record for record in read_records(run) if record["kind"] == "test" and record["episodes"]]
    names = [name for name in (tests[0]["episodes"][0] if tests else {}) if name not in NOT_METRICS]
    steps = np.array([test["t_env"] for test in tests], np.float64)
    return {
        name: (steps, np.array([np.mean([episode[name] for episode in test["episodes"]]) for test in tests]))
        for name in names
    }


def steps_per_second(run: Path) -> float | None:
    """Environment steps for each second that the run was at work, tests included; None if it took no time.

    A run that was killed worked from each of its starts to the last line before the next one.
    """
    seconds, before, step = 0.0, None, 0
    for record in read_records(run):
        starts = record["kind"] == "status" and record["status"] == RUNNING
        if before is not None and not starts:
            seconds += record["time"] - before
        before, step = record["time"], max(step, record.get("t_env", 0))
    return step / seconds if seconds > 0 else None


def curve(runs: Sequence[tuple[np.ndarray, np.ndarray]], grid: np.ndarray) -> dict[str, Any]:
    """Steps, mean, deviation (None for one run) and n of runs given as (steps, values)."""
    values = np.stack([np.interp(grid, steps, means) for steps, means in runs])
    return {
        "step": [int(step) for step in grid],
        "mean": values.mean(0).tolist(),
        "std": values.std(0, ddof=1).tolist() if len(runs) > 1 else None,
        "n": len(runs),
    }


def grid_of(run: Path, t_max: int) -> np.ndarray:
    """Steps that curves are read at."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    steps = np.arange(config["test_interval"], t_max, config["test_interval"], dtype=np.float64)
    return np.append(steps, float(t_max))


def report(name: str, plan: Plan) -> dict[str, Any]:
    """Everything that was found, ready for JSON."""
    settings = plan.settings
    variants = list(dict.fromkeys(cell.variant for cell in plan.cells))
    return {
        "schema": SCHEMA,
        "ablation": name,
        "key": settings.key,
        "t_max": settings.t_max,
        "settings": dict(settings.changes),
        "how": HOW,
        "source": source_state(),
        "variants": [_variant(variant, plan) for variant in variants],
    }


def _variant(variant: Variant, plan: Plan) -> dict[str, Any]:
    cells = [cell for cell in plan.cells if cell.variant == variant]
    finished = [cell.run for cell in cells if cell.state == FINISHED and cell.run is not None]
    tests = [tests_of(run) for run in finished]
    metrics = [name for name in tests[0] if all(name in each for each in tests)] if tests else []
    grid = grid_of(finished[0], plan.settings.t_max) if finished else np.zeros(0)
    return {
        "label": variant.label,
        "config": variant.config,
        "changes": dict(variant.changes),
        "runs": [_run(cell, plan.settings.results) for cell in cells],
        "curves": {metric: curve([each[metric] for each in tests], grid) for metric in metrics},
    }


def _run(cell: Cell, results: Path) -> dict[str, Any]:
    folder = None if cell.run is None else cell.run.relative_to(results.absolute()).as_posix()
    rate = steps_per_second(cell.run) if cell.state == FINISHED and cell.run is not None else None
    return {"seed": cell.seed, "state": cell.state, "told": cell.told, "folder": folder, "steps_per_s": rate}


def rows(found: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The curves as rows of COLUMNS."""
    return [
        (
            found["ablation"], found["key"], variant["label"], metric, step, mean,
            "" if points["std"] is None else points["std"][k], points["n"],
        )
        for variant in found["variants"]
        for metric, points in variant["curves"].items()
        for k, (step, mean) in enumerate(zip(points["step"], points["mean"]))
    ]  # fmt: skip


def write(found: Mapping[str, Any], results: Path, stem: str) -> tuple[Path, Path]:
    """Write `<stem>.json` and `<stem>.csv`, each whole or not at all.

    Raises:
        OSError: the disk refused twice.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(found))
    as_json, as_csv = results / f"{stem}.json", results / f"{stem}.csv"
    write_file(as_json, json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n")
    write_file(as_csv, text.getvalue().encode())
    return as_json, as_csv


def summary(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows for people: variant, runs, and each metric's last point with its spread."""
    metrics = list(dict.fromkeys(name for variant in found["variants"] for name in variant["curves"]))
    lines = [("variant", "n", *metrics, "steps/s")]
    for variant in found["variants"]:
        n = sum(run["state"] == FINISHED for run in variant["runs"])
        rates = [run["steps_per_s"] for run in variant["runs"] if run["steps_per_s"] is not None]
        rate = f"{np.mean(rates):,.0f}" if rates else "-"
        lines.append((variant["label"], str(n), *(_last(variant["curves"].get(metric)) for metric in metrics), rate))
    return lines


def _last(points: Mapping[str, Any] | None) -> str:
    if points is None:
        return "-"
    spread = "" if points["std"] is None else f" ± {points['std'][-1]:.3f}"
    return f"{points['mean'][-1]:.3f}{spread}"
