"""The same work on many things, in as many processes as there are cores to use."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Callable, Sequence, TypeVar

__all__ = ["in_processes"]

Job = TypeVar("Job")
Found = TypeVar("Found")


def in_processes(work: Callable[[Job], Found], jobs: Sequence[Job], is_worth_it: bool) -> list[Found]:
    """[work(job) for job in jobs]; in fresh processes where it is worth their start, about half a second each.

    `work`, jobs and results must be picklable. What `work` raises is raised here.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(len(jobs), cores)
    if workers < 2 or not is_worth_it:
        return [work(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(work, jobs))
