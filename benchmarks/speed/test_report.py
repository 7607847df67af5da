"""Speed of a large report: `python -m pytest benchmarks/speed/test_report.py --benchmark-only`.

The whole command, from its start to the last file: 250 runs (5 tasks of POAC, 10 algorithms, 5 seeds) of 2,500 tests
of 20 episodes with all of POAC's metrics, 3.6 GB of records in all. Aim: 20 s. The records are made up (five different
ones, copied), lie in the system's temporary folder, and are in the page cache as far as it holds them.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest

from async_envs.poac.constants import METRIC_NAMES
from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.results import FINISHED, cell_folder
from registry.records import RECORDS, encode

N_TESTS, N_EPISODES, INTERVAL = 2_500, 20, 2_000
SEEDS = (1, 2, 3, 4, 5)
ALGORITHMS = ("mvd", "qmix", "qmix_a", "qatten", "qatten_a", "vdn", "vdn_a", "na2q", "na2q_a", "qplex")
PROTOCOL = {
    "name": "speed",
    "seeds": list(SEEDS),
    "tasks": [{"key": f"async:poac-{k}", "t_max": N_TESTS * INTERVAL, "settings": {}} for k in range(1, 6)],
    "algorithms": list(ALGORITHMS),
    "settings": {},
    "test_interval": INTERVAL,
    "test_nepisode": N_EPISODES,
    "absolute_episodes": 0,
}


def record(seed: int) -> Iterator[bytes]:
    """The lines of a run's record."""
    rng = np.random.default_rng(seed)
    for k in range(1, N_TESTS + 1):
        yield encode({"kind": "metric", "name": "loss", "value": rng.random(), "t_env": k * INTERVAL})
        returns = rng.normal(20.0 * k / N_TESTS - 10.0, 5.0, N_EPISODES).astype(np.float32).tolist()
        metrics = rng.integers(0, 100, (N_EPISODES, len(METRIC_NAMES))).astype(float).tolist()
        episodes = [
            {
                "seed": int(rng.integers(2**63)), "return": value, "length": 200 + k % 400, "decisions": 100 + k % 300,
                **dict(zip(METRIC_NAMES, others)), "episode_limit": 0.0,
            }
            for value, others in zip(returns, metrics)
        ]  # fmt: skip
        told = {"decisions": k * INTERVAL // 3, "wall_s": k / 7, "time": 1_760_000_000 + k / 7}
        yield encode({"kind": "test", "t_env": k * INTERVAL, "episodes": episodes, **told})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The results folder; it goes afterwards."""
    folder = tmp_path_factory.mktemp("report")
    protocol = protocols.checked(PROTOCOL, Path("speed.yaml"))
    (folder / "protocol.json").write_text(json.dumps(protocols.as_dict(protocol)))
    for seed in SEEDS:
        (folder / f"{seed}.jsonl").write_bytes(b"".join(record(seed)))
    for task in protocol.tasks:
        for algorithm in ALGORITHMS:
            for seed in SEEDS:
                run = "sacred/run/1"
                cell = cell_folder(folder, task, algorithm, seed)
                (cell / run).mkdir(parents=True)
                shutil.copyfile(folder / f"{seed}.jsonl", cell / run / RECORDS)
                said = {"schema": 1, "task": task.key, "algorithm": algorithm, "seed": seed, "state": FINISHED,
                        "reason": None, "attempts": 1, "run": run, "worker": "-", "started": 0, "ended": 1}  # fmt: skip
                (cell / "cell.json").write_text(json.dumps(said))
    yield folder
    shutil.rmtree(folder)


def test_report_of_250_runs(benchmark: Any, results: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.leaderboard", "report", "--results", str(results)]
    benchmark.pedantic(subprocess.run, (command,), {"check": True, "capture_output": True}, rounds=2, iterations=1)
    size = sum(path.stat().st_size for path in results.glob(f"cells/*/*/*/sacred/run/1/{RECORDS}"))
    assert (results / "report" / "index.html").is_file()
    benchmark.extra_info["runs"] = len(PROTOCOL["tasks"]) * len(ALGORITHMS) * len(SEEDS)  # type: ignore[arg-type]
    benchmark.extra_info["GB_of_records"] = round(size / 1e9, 2)
