"""Where workers run: on this machine, on a Ray cluster, as jobs of Slurm.

All workers do the same (benchmarks/leaderboard/worker.py); they share nothing but the results folder.
"""

from pathlib import Path
from typing import Any, Callable, Mapping, Protocol

from benchmarks.leaderboard.cells import Chosen
from registry.catalog import load

__all__ = ["EXECUTORS", "Pool", "make_pool"]

# name -> "module:class"; nothing is imported before it is asked for
EXECUTORS = {
    "local": "benchmarks.leaderboard.executors.local:LocalPool",
    "ray": "benchmarks.leaderboard.executors.ray:RayPool",
    "slurm": "benchmarks.leaderboard.executors.slurm:SlurmPool",
}


class Pool(Protocol):
    """Workers that were started together."""

    def alive(self) -> int:
        """How many are at work or wait to begin."""

    def complaints(self) -> list[str]:
        """What workers said that ended badly since this was last asked; one line each."""

    def stop(self) -> None:
        """Have all of them end in good order, and wait for that."""


def make_pool(name: str, results: Path, chosen: Chosen, n_workers: int, options: Mapping[str, Any]) -> Pool:
    """Start workers.

    Raises:
        ValueError: the executor's package or service is not there, or an option is not accepted; one line.
    """
    start: Callable[..., Pool] = load(EXECUTORS[name])
    return start(results, chosen, n_workers, **options)
