"""Workers as jobs of Slurm, through submitit. The results folder must lie on a file system that the nodes share.

Who is at work is asked of `squeue` and not of `sacct`, which knows nothing where a cluster keeps no accounts. Tried
with submitit's local executor (`--slurm-option cluster=local`) and with Slurm 22.05, two nodes on one machine.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.leaderboard.cells import Chosen
from benchmarks.leaderboard.worker import work
from benchmarks.processes import environment

__all__ = ["Job", "SlurmPool"]

DEFAULTS = {"name": "leaderboard", "timeout_min": 1440, "cpus_per_task": 1}
MAX_TIMEOUTS = 1000  # of one job, which is queued again each time
GRACE_S = 60.0  # that cancelled jobs have to end
ASK_S = 5.0  # between two looks at Slurm's queue
GONE_S = 20.0  # out of the queue and no result for so long: a shared folder may show a file late

HINT = "You can check full logs"  # of submitit, below a trace

NO_SUBMITIT = "--executor=slurm: the package submitit is not installed. Run pip install submitit."
NO_SLURM = "--executor=slurm: there is no srun on this machine. Give the command on a node of the cluster."
BAD_OPTION = "--slurm-option: {why}. See the parameters of submitit's AutoExecutor, e.g. slurm_partition=cpu."


class Job:
    """A worker as a job of submitit: it ends when no cell is free, and in good order when it is cancelled."""

    def __call__(self, results: str, chosen: Chosen) -> int:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return work(results, chosen, wait=False)

    def checkpoint(self, results: str, chosen: Chosen) -> Any:
        """What submitit queues again when the job's time is up or it was preempted; cells have checkpoints."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, results, chosen)


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
            folder = results / "workers" / "slurm"
            executor = submitit.AutoExecutor(folder, cluster, slurm_max_num_timeout=MAX_TIMEOUTS)
            executor.update_parameters(**{**DEFAULTS, **options})
        except (TypeError, ValueError, NameError) as error:
            raise ValueError(BAD_OPTION.format(why=" ".join(str(error).split()))) from error
        with executor.batch():
            jobs = [executor.submit(Job(), str(results), chosen) for _ in range(n_workers)]
        self._jobs: list[Any] = list(jobs)
        self._complaints: list[str] = []
        self._queue = Queue() if cluster == "slurm" else None

    def alive(self) -> int:
        """How many jobs wait or are at work."""
        return self._alive(GONE_S)

    def _alive(self, gone_s: float) -> int:
        for each in list(self._jobs):
            if each.paths.result_pickle.exists() or self._queue is None:
                if each.done():
                    self._jobs.remove(each)
                    self._complain(each, each.exception())
            elif self._queue.lacks(each.job_id, gone_s):
                self._jobs.remove(each)
                self._complain(each, each.stderr() or "it left no result")
        return len(self._jobs)

    def _complain(self, ended: Any, why: Any) -> None:
        if why is not None:
            self._complaints.append(f"job {ended.job_id} ended badly: {last_words(why)}")

    def complaints(self) -> list[str]:
        """What jobs said that ended badly since this was last asked."""
        told, self._complaints = self._complaints, []
        return told

    def stop(self) -> None:
        """Cancel all jobs, and give them time to write checkpoints."""
        for each in self._jobs:
            each.cancel()
        until = time.monotonic() + GRACE_S
        while self._alive(0.0) and time.monotonic() < until:
            time.sleep(0.5)


class Queue:
    """This user's jobs that wait or run, as `squeue` tells."""

    def __init__(self) -> None:
        self._ids: set[str] | None = None  # None: the controller does not answer
        self._next = -ASK_S
        self._seen: dict[str, float] = {}

    def lacks(self, job_id: str, gone_s: float) -> bool:
        """Whether a job has not been there for `gone_s` seconds; while no controller answers, all are there."""
        now = time.monotonic()
        if now >= self._next:
            self._ids, self._next = ids_in_queue(), now + ASK_S
        if self._ids is None or job_id in self._ids:
            self._seen[job_id] = now
            return False
        return now - self._seen.setdefault(job_id, now) >= gone_s


def ids_in_queue() -> set[str] | None:
    """Ids as submitit writes them, 7 or 7_0; None if there is no answer."""
    command = ["squeue", "--user", str(os.getuid()), "--array", "--noheader", "--format=%i"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return set(told.stdout.split())


def last_words(error: BaseException | str) -> str:
    """The line that says what is wrong, of an error with a job's whole trace and a hint, or of what was printed."""
    lines = [line.strip() for line in str(error).split(HINT)[0].splitlines() if line.strip(" -")]
    told_by_slurm = [line for line in lines if line.startswith(("srun: error:", "slurmstepd: error:"))]
    return (told_by_slurm or lines or [type(error).__name__])[-1]
