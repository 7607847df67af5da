"""Results folders as the leaderboard writes them, without training anything: for tests and speed measurements.

    protocol = a_protocol(tasks={"async:poac-1": 1000}, algorithms=("mvd", "qmix"), seeds=(1, 2, 3))
    write_results(tmp_path, protocol, states={("async:poac-1", "qmix", 3): "failed"})
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import numpy as np

from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.protocol import Protocol, Task
from benchmarks.leaderboard.results import FAILED, FINISHED, NOT_RUN, REFUSED, RUNNING, cell_folder
from registry.config import folder_name
from registry.records import encode

METRICS = ("battle_won", "draw")
REASONS = {FAILED: "learner: loss is nan at step 500.", REFUSED: "qmix: state_dim=0 is not supported."}
STARTED = 1_760_000_000  # unix seconds

Cell = tuple[str, str, int]  # task, algorithm, seed
Score = Callable[[str, str, int, float], float]  # task, algorithm, seed, share of t_max -> mean return


def a_protocol(
    tasks: Mapping[str, int] | None = None,
    algorithms: Sequence[str] = ("mvd", "qmix"),
    seeds: Sequence[int] = (1, 2, 3),
    **changes: Any,
) -> Protocol:
    """A checked protocol; `tasks` is key -> t_max, `changes` replace other members."""
    tasks = {"async:poac-1": 1000, "async:overcooked-A": 1000} if tasks is None else tasks
    given = {
        "name": "synthetic",
        "seeds": list(seeds),
        "tasks": [{"key": key, "t_max": t_max, "settings": {}} for key, t_max in tasks.items()],
        "algorithms": list(algorithms),
        "settings": {},
        "test_interval": 100,
        "test_nepisode": 4,
        "absolute_episodes": 8,
        **changes,
    }
    return protocols.checked(given, Path("synthetic.yaml"))


def cells_of(protocol: Protocol) -> Iterator[tuple[Task, str, int]]:
    """Every cell in the protocol's order."""
    for task in protocol.tasks:
        for algorithm in protocol.algorithms:
            for seed in protocol.seeds:
                yield task, algorithm, seed


def rising(task: str, algorithm: str, seed: int, share: float) -> float:
    """A learning curve that depends on all but luck: from 0 to 10 plus something of each name's own."""
    own = hashlib.blake2b(f"{task}/{algorithm}/{seed}".encode(), digest_size=2).digest()
    return 10.0 * share + own[0] / 64 + seed / 10


def write_results(
    folder: str | Path,
    protocol: Protocol,
    states: Mapping[Cell, str] | None = None,
    score: Score = rising,
    extras: bool = True,
) -> Path:
    """Write a results folder.

    Args:
        folder: it is made where missing.
        protocol: whose cells.
        states: cells that are not finished: "running", "failed" (both half-way), "refused", "not run".
        score: mean return of a cell's tests; the episodes lie around it, their mean is it.
        extras: whether records say decisions, seconds and provenance, as older ones do not.

    Returns:
        `folder`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "protocol.json", protocols.as_dict(protocol))
    for task, algorithm, seed in cells_of(protocol):
        state = (states or {}).get((task.key, algorithm, seed), FINISHED)
        if state != NOT_RUN and protocols.available(task) is None:
            write_cell(folder, protocol, task, algorithm, seed, state, score, extras)
    return folder


def write_cell(
    results: Path, protocol: Protocol, task: Task, algorithm: str, seed: int, state: str, score: Score, extras: bool
) -> None:
    """One cell that was run, is running, or was refused."""
    cell = cell_folder(results, task, algorithm, seed)
    run = None if state == REFUSED else f"sacred/{algorithm}/{folder_name(task.key)}/1"
    said = {
        "schema": 1, "task": task.key, "algorithm": algorithm, "seed": seed, "state": state,
        "reason": REASONS.get(state), "attempts": 1, "run": run, "worker": "host-1",
        "started": STARTED, "ended": None if state == RUNNING else STARTED + 600,
    }  # fmt: skip
    write_json(cell / "cell.json", said)
    if run is None:
        return
    (cell / run).mkdir(parents=True)
    write_json(cell / run / "config.json", {"name": algorithm, "seed": seed, "t_max": task.t_max})
    last = task.t_max if state == FINISHED else task.t_max // 2
    lines = record(protocol, task, algorithm, seed, last, score, extras)
    if state == FINISHED:
        lines.append({"kind": "status", "status": "COMPLETED", "schema": 1})
    (cell / run / "records.jsonl").write_bytes(b"".join(encode({**line, "time": STARTED + 0.5}) for line in lines))
    if state == FINISHED and protocol.absolute_episodes:
        write_absolute(cell, protocol, task, seed, score(task.key, algorithm, seed, 1.0) + 0.5)


def record(
    protocol: Protocol, task: Task, algorithm: str, seed: int, last: int, score: Score, extras: bool
) -> list[dict[str, Any]]:
    """The lines of a run's record up to the test at step `last`, which is its t_max if it finished."""
    lines: list[dict[str, Any]] = [{"kind": "status", "status": "RUNNING", "schema": 1}]
    if extras:
        lines.append({"kind": "provenance", **provenance(algorithm, seed)})
    for step in [*range(0, last, protocol.test_interval), last]:
        mean = score(task.key, algorithm, seed, step / task.t_max)
        lines.append({"kind": "metric", "name": "loss", "value": 0.5, "t_env": step})
        told = {"decisions": step // 2, "wall_s": step / 100} if extras else {}
        episodes = episodes_around(mean, protocol.test_nepisode, seed * 100_003 + step, extras)
        lines.append({"kind": "test", "t_env": step, "episodes": episodes, **told})
    return lines


def episodes_around(mean: float, n: int, seed: int, extras: bool = True) -> list[dict[str, Any]]:
    """n episodes whose returns have this mean; those above it are won."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0, 1.0, n)
    returns += mean - returns.mean()
    return [
        {
            "seed": int(rng.integers(2**63)), "return": _json(float(value)), "length": int(rng.integers(10, 60)),
            **({"decisions": int(rng.integers(5, 30))} if extras else {}),
            "battle_won": float(value > mean), "draw": 0.0,
        }
        for value in returns
    ]  # fmt: skip


def _json(value: float) -> float | str:
    """As records hold it: NaN and infinities are text."""
    return value if math.isfinite(value) else repr(value)


def provenance(algorithm: str, seed: int) -> dict[str, Any]:
    """As a run's start records it."""
    return {
        "command": f"python src/main.py --config={algorithm} with seed={seed}",
        "config": {"name": algorithm, "seed": seed, "lr": 0.0005},
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "hardware": {"cpu": "a processor", "cores": 2, "memory": 8_000_000_000, "gpu": None, "threads": 1},
        "environment": "e" * 64,
        "host": "embedded",
        "platform": "Linux",
        "lock": "f" * 64,
    }


def write_absolute(cell: Path, protocol: Protocol, task: Task, seed: int, mean: float) -> None:
    """The evaluation of a cell's best model."""
    n = protocol.absolute_episodes
    episodes = episodes_around(mean, n, seed + 7)
    for episode in episodes:
        episode["actions"] = [[2, 3, 2]] * episode["length"]
    told = {"schema": 1, "step": task.t_max, "test_return": _json(mean), "n": n, "environment": "e" * 64, "config": {}}
    write_json(cell / "evaluation" / "evaluation.json", told)
    lines = [json.dumps(episode) + "\n" for episode in episodes]
    (cell / "evaluation" / "episodes.jsonl").write_text("".join(lines), encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file, its folder made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
