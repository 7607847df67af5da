"""Workers as jobs of Slurm, through submitit. The results folder must lie on a file system that the nodes share.

Tried with submitit's local executor (`--slurm-option cluster=local`), not on a Slurm cluster.
"""

import importlib.util
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.cells import Chosen
from benchmarks.leaderboard.worker import work
from benchmarks.processes import environment

__all__ = ["SlurmPool", "job"]

DEFAULTS = {"name": "leaderboard", "timeout_min": 1440, "cpus_per_task": 1}
GRACE_S = 60.0  # that cancelled jobs have to end

HINT = "You can check full logs"  # of submitit, below a trace

NO_SUBMITIT = "--executor=slurm: the package submitit is not installed. Run pip install submitit."
NO_SLURM = "--executor=slurm: there is no srun on this machine. Give the command on a node of the cluster."
BAD_OPTION = "--slurm-option: {why}. See the parameters of submitit's AutoExecutor, e.g. slurm_partition=cpu."


def job(results: str, chosen: Chosen) -> int:
    """A worker as a job: it ends when no cell is free, and in good order when it is cancelled."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return work(results, chosen, wait=False)


class SlurmPool:
    """`n_workers` jobs. What they print lies in `<results>/workers/slurm`.

    Args:
        results, chosen, n_workers: as of `make_pool`.
        cluster: slurm, or local for processes of this machine, which is for tests.
        options: parameters of submitit's AutoExecutor.
    """

    def __init__(self, results: Path, chosen: Chosen, n_workers: int, cluster: str = "slurm", **options: Any):
        if importlib.util.find_spec("submitit") is None:
            raise ValueError(NO_SUBMITIT)
        if cluster == "slurm" and shutil.which("srun") is None:
            raise ValueError(NO_SLURM)
        import submitit

        os.environ.update(environment())  # jobs inherit it
        try:
            executor = submitit.AutoExecutor(folder=results / "workers" / "slurm", cluster=cluster)
            executor.update_parameters(**{**DEFAULTS, **options})
        except (TypeError, ValueError, NameError) as error:
            raise ValueError(BAD_OPTION.format(why=" ".join(str(error).split()))) from error
        with executor.batch():
            jobs = [executor.submit(job, str(results), chosen) for _ in range(n_workers)]
        self._jobs: list[Any] = list(jobs)
        self._complaints: list[str] = []

    def alive(self) -> int:
        """How many jobs wait or are at work."""
        for each in list(self._jobs):
            if each.done():
                self._jobs.remove(each)
                error = each.exception()
                if error is not None:
                    self._complaints.append(f"job {each.job_id} ended ({each.state}): {last_words(error)}")
        return len(self._jobs)

    def complaints(self) -> list[str]:
        """What jobs said that ended badly since this was last asked."""
        told, self._complaints = self._complaints, []
        return told

    def stop(self) -> None:
        """Cancel all jobs, and give them time to write checkpoints."""
        for each in self._jobs:
            each.cancel()
        until = time.monotonic() + GRACE_S
        while self.alive() and time.monotonic() < until:
            time.sleep(0.5)


def last_words(error: BaseException) -> str:
    """The line that says what is wrong, of an error that came with a job's whole trace and a hint below it."""
    lines = [line.strip() for line in str(error).split(HINT)[0].splitlines() if line.strip(" -")]
    return lines[-1] if lines else type(error).__name__
