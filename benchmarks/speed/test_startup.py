"""From the command to training: `python -m pytest benchmarks/speed/test_startup.py`.

MVD on async:poac-1, each run in a process of its own. `first_rollout_s` is the time from the command until
the first training episodes are played, `first_update_s` until the first update from them is done (a batch of
the first 8 episodes), `first_update_cpu_s` the processor time of that, which hardly feels other programs.
Aims: 40 s for the first run ever, with an empty kernel cache, 8 s for every other one, also where two start
at once.
"""

from pathlib import Path
from typing import Any, Iterator

import pytest

from benchmarks.speed.marked_run import MarkedRun

COMMAND = [
    "--config=mvd", "with", "env_args.key=async:poac-1", "seed=1", "t_max=1", "batch_size_run=8",
    "batch_size=8", "updates_per_episode=0.125", "test_nepisode=1", "checkpoint_interval=0",
]  # fmt: skip
WARM_ROUNDS = 3


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kernel cache of this module's own, empty at first."""
    yield tmp_path_factory.mktemp("kernels")


def start(folder: Path, cache: Path) -> MarkedRun:
    """The command, on the embedded host."""
    return MarkedRun("embedded", folder, COMMAND, ASYNC_EPYMARL_CACHE=str(cache))


def times(*runs: MarkedRun) -> dict[str, float]:
    """The slowest run's times."""
    marks = [run.finish() for run in runs]
    return {
        "first_rollout_s": max(mark.rollouts[0][0] - mark.started_s for mark in marks),
        "first_update_s": max(mark.updates[0][0] - mark.started_s for mark in marks),
        "first_update_cpu_s": max(mark.updates[0][1] for mark in marks),
    }


def test_first_run_ever(benchmark: Any, tmp_path: Path, cache: Path) -> None:
    """Compiles the kernels; the tests below read what it leaves."""
    taken = benchmark.pedantic(lambda: times(start(tmp_path, cache)), rounds=1)
    benchmark.extra_info.update(taken)


def test_warm_start(benchmark: Any, tmp_path: Path, cache: Path) -> None:
    """One start with a filled cache; the figures are of the last round."""
    times(start(tmp_path, cache))  # fills the cache if this test runs alone
    benchmark.extra_info.update(benchmark.pedantic(lambda: times(start(tmp_path, cache)), rounds=WARM_ROUNDS))


def test_two_warm_starts_at_once(benchmark: Any, tmp_path: Path, cache: Path) -> None:
    """The slower of two."""
    times(start(tmp_path, cache))
    benchmark.extra_info.update(
        benchmark.pedantic(
            lambda: times(start(tmp_path, cache), start(tmp_path, cache)), rounds=WARM_ROUNDS
        )
    )
