"""Workers on a Ray cluster: one that is running (`--ray-option address=auto`), or one that is begun on this machine.

The results folder must lie on a file system that the machines of the cluster share.
"""

import importlib.util
import time
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.cells import Chosen
from benchmarks.leaderboard.worker import work
from benchmarks.processes import environment

__all__ = ["RayPool"]

OF_A_WORKER = ("num_cpus", "num_gpus", "memory", "resources")  # options that say what one worker takes
RETRIES = 100  # of a worker whose process or machine was lost
GRACE_S = 60.0  # that cancelled workers have to end

NO_RAY = "--executor=ray: the package ray is not installed. Run pip install 'ray[default]'."
NO_CLUSTER = "--executor=ray: no cluster could be reached or begun ({why}). Check --ray-option address=…"


class RayPool:
    """`n_workers` tasks of one core each; one whose process is lost is begun again by Ray.

    Args:
        results, chosen, n_workers: as of `make_pool`.
        options: what one worker takes (`OF_A_WORKER`); all others go to ray.init, e.g. address.
    """

    def __init__(self, results: Path, chosen: Chosen, n_workers: int, **options: Any):
        if importlib.util.find_spec("ray") is None:
            raise ValueError(NO_RAY)
        import ray

        takes = {"num_cpus": 1, **{name: options.pop(name) for name in OF_A_WORKER if name in options}}
        passed_on = {name: environment()[name] for name in ("PYTHONPATH", "OMP_NUM_THREADS")}
        try:
            ray.init(runtime_env={"env_vars": passed_on}, log_to_driver=False, **options)
        except (ConnectionError, RuntimeError, ValueError, TypeError) as error:
            raise ValueError(NO_CLUSTER.format(why=str(error).splitlines()[0])) from error
        worker = ray.remote(max_retries=RETRIES, **takes)(work)
        self._tasks = [worker.remote(str(results), chosen, True) for _ in range(n_workers)]
        self._complaints: list[str] = []

    def alive(self) -> int:
        """How many tasks wait or are at work."""
        import ray

        ended, self._tasks = ray.wait(self._tasks, num_returns=len(self._tasks), timeout=0) if self._tasks else ([], [])
        for task in ended:
            try:
                ray.get(task)
            except Exception as error:  # whatever a worker raised, and Ray's own
                lines = [line for line in str(error).splitlines() if line.strip()]
                self._complaints.append(f"a worker ended: {lines[-1].strip() if lines else type(error).__name__}")
        return len(self._tasks)

    def complaints(self) -> list[str]:
        """What workers said that ended badly since this was last asked."""
        told, self._complaints = self._complaints, []
        return told

    def stop(self) -> None:
        """End all workers; their trainings are told by the system and write checkpoints."""
        import ray

        for task in self._tasks:
            ray.cancel(task, force=True)
        until = time.monotonic() + GRACE_S
        while self.alive() and time.monotonic() < until:
            time.sleep(0.5)
        self._complaints.clear()
