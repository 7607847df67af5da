"""Workers as processes, as jobs of submitit's local executor, as tasks of a local Ray: all make the same cells."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.leaderboard.cells import ALL, FAILED, Cell, Chosen, cells_of, read_book
from benchmarks.leaderboard.executors import make_pool, slurm
from benchmarks.leaderboard.executors.local import LocalPool
from benchmarks.leaderboard.queue import begin, is_held
from tests.benchmarks.leaderboard.crowd import TINY, tiny

needs_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="submitit is not installed (pip install submitit)"
)
needs_slurm = pytest.mark.skipif(
    shutil.which("scontrol") is None or subprocess.run(["scontrol", "ping"], capture_output=True).returncode != 0,
    reason="no Slurm answers here (scontrol ping)",
)
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
TWO = {"seeds": [1], "algorithms": ["mvd", "qmix"], "tasks": TINY["tasks"][:1]}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two cells, whose training is a command that is refused at once: sacred is never started."""
    begin(tmp_path / "results", tiny(**TWO))
    for cell in two(tmp_path / "results"):
        run = cell.folder / f"sacred/{cell.algorithm}/async-tabular-relay/1"
        run.mkdir(parents=True)
        for name in ("run.json", "records.jsonl"):
            (run / name).write_text("{}")
        (run / "config.json").write_text("not json")  # so that resuming fails in its first line
    return tmp_path / "results"


def two(results: Path) -> list[Cell]:
    """The cells."""
    return cells_of(tiny(**TWO), results)


def wait_for(pool: Any, limit_s: float = 900.0) -> list[str]:
    """Wait until every worker has ended; what they complained of."""
    until = time.monotonic() + limit_s
    while pool.alive():
        assert time.monotonic() < until
        time.sleep(0.1)
    told: list[str] = pool.complaints()
    return told


def assert_all_were_tried_once(results: Path) -> None:
    """Each cell's process ran once, and its last line is the reason."""
    for cell in two(results):
        book = read_book(cell.folder)
        assert book is not None and (FAILED, 1) == (book.state, book.attempts) and not is_held(cell)
        assert "no run lies there" in str(book.reason)


@pytest.mark.slow
def test_workers_of_this_machine(results: Path) -> None:
    pool = make_pool("local", results, ALL, 2, {})
    assert [] == wait_for(pool)
    assert_all_were_tried_once(results)


@pytest.mark.slow
@needs_submitit
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # submitit leaves its processes to themselves
def test_jobs_of_submitits_local_executor(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    chosen = Chosen(seeds=(1,))
    pool = make_pool("slurm", results, chosen, 2, {"cluster": "local", "timeout_min": 20})
    assert [] == wait_for(pool)
    assert_all_were_tried_once(results)


@pytest.mark.slow
@needs_submitit
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_job_that_ends_badly_says_why(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    (results / "protocol.json").unlink()
    (told,) = wait_for(make_pool("slurm", results, ALL, 1, {"cluster": "local", "timeout_min": 20}))
    assert "no protocol lies there" in told and "\n" not in told


@pytest.mark.slow
@needs_submitit
@needs_slurm
def test_jobs_of_slurm(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    pool = make_pool("slurm", results, ALL, 2, {"timeout_min": 20})
    assert [] == wait_for(pool)
    assert_all_were_tried_once(results)


@pytest.mark.slow
@needs_submitit
@needs_slurm
def test_a_cancelled_job_of_slurm_ends_with_its_reason(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(slurm, "ASK_S", 0.5)
    monkeypatch.setattr(slurm, "GONE_S", 1.0)
    later = {"slurm_additional_parameters": {"begin": "now+1hour"}}
    pool = make_pool("slurm", results, ALL, 1, {"timeout_min": 20, **later})
    assert 1 == pool.alive()
    pool.stop()
    assert 0 == pool.alive()
    (told,) = pool.complaints()
    assert "ended badly: it left no result" in told


FAKE_SLURM = {
    "srun": "",
    "sbatch": "echo Submitted batch job 7",
    "scancel": "",
    "squeue": "cat {queue}",
}


@pytest.fixture
def slurm_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a stand-in's squeue tells: programs that say what Slurm's say, of a cluster without accounts (no sacct)."""
    queue, bin_folder = tmp_path / "queue", tmp_path / "bin"
    bin_folder.mkdir()
    for name, does in FAKE_SLURM.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{does.format(queue=queue)}\n")
        (bin_folder / name).chmod(0o755)
    monkeypatch.setattr(os, "environ", {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"})
    monkeypatch.setattr(slurm, "ASK_S", 0.0)
    return queue


@needs_submitit
def test_stopping_waits_no_longer_than_slurm_has_the_jobs(
    results: Path, slurm_queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was cancelled leaves no result, so there is none to wait for once it is out of the queue."""
    monkeypatch.setattr(slurm, "GONE_S", 3600.0)
    slurm_queue.write_text("7_0\n7_1\n")
    pool = make_pool("slurm", results, ALL, 2, {})
    waited: list[float] = []

    def ends(seconds: float) -> None:
        waited.append(seconds)
        slurm_queue.write_text("7_1\n" if len(waited) == 1 else "")

    monkeypatch.setattr(slurm, "time", SimpleNamespace(sleep=ends, monotonic=time.monotonic))
    pool.stop()
    assert 2 == len(waited)


@needs_submitit
def test_a_job_that_slurm_has_lost_is_not_waited_for(
    results: Path, slurm_queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = slurm_queue
    monkeypatch.setattr(slurm, "GONE_S", 0.2)
    pool = make_pool("slurm", results, ALL, 2, {})

    def after_a_while() -> int:
        time.sleep(0.3)
        pool.alive()
        time.sleep(0.3)
        return pool.alive()

    assert 2 == after_a_while()  # squeue fails: the controller does not answer, so nothing is known
    queue.write_text("7_0\n7_1\n")
    assert 2 == after_a_while()
    (results / "workers/slurm/7_1_0_log.err").write_text("srun: error: n1: task 0: Killed\nsrun: Force Terminated\n")
    queue.write_text("7_0\n")
    assert 1 == after_a_while()
    assert ["job 7_1 ended badly: srun: error: n1: task 0: Killed"] == pool.complaints()
    queue.write_text("")
    assert 0 == after_a_while()
    assert ["job 7_0 ended badly: it left no result"] == pool.complaints()


@needs_submitit
def test_a_job_whose_time_is_up_is_queued_again_with_the_same_cells() -> None:
    job, chosen = slurm.Job(), Chosen(seeds=(1,))
    again = job.checkpoint("results", chosen)
    assert (job, ("results", chosen)) == (again.function, again.args)


@pytest.mark.slow
@needs_ray
def test_tasks_of_a_local_ray(results: Path) -> None:
    import ray

    pool = make_pool("ray", results, ALL, 2, {"num_cpus": 1, "include_dashboard": False})
    try:
        assert [] == wait_for(pool)
        assert_all_were_tried_once(results)
    finally:
        ray.shutdown()


@needs_submitit
@pytest.mark.parametrize("options, line", [
    ({}, "there is no srun on this machine"),
    ({"cluster": "local", "partition_of": "cpu"}, "--slurm-option: "),
    ({"cluster": "loca"}, "--slurm-option: "),
])  # fmt: skip
def test_what_slurm_cannot_do_is_said_in_one_line(
    results: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], line: str
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(ValueError) as caught:
        make_pool("slurm", results, ALL, 1, options)
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name, line", [
    ("slurm", "the package submitit is not installed. Run pip install submitit."),
    ("ray", "the package ray is not installed. Run pip install 'ray[default]'."),
])  # fmt: skip
def test_a_package_that_is_not_there_is_said_in_one_line(
    results: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError) as caught:
        make_pool(name, results, ALL, 1, {})
    assert f"--executor={name}: {line}" == str(caught.value)


def pool_of(command: str, results: Path, monkeypatch: pytest.MonkeyPatch, n_workers: int = 1) -> LocalPool:
    """Workers of this machine that run a few lines of Python."""
    path = "benchmarks.leaderboard.executors.local.worker.command"
    monkeypatch.setattr(path, lambda *_, **__: [sys.executable, "-c", command])
    return LocalPool(results, ALL, n_workers)


def test_a_worker_that_was_killed_is_replaced(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of("import time; time.sleep(60)", results, monkeypatch, n_workers=2)
    first, second = pool.pids
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + 60
    while first in pool.pids:
        assert time.monotonic() < until and 2 == pool.alive()
    assert second in pool.pids and 2 == len(pool.pids)
    assert ["a worker ended (killed by signal 9): its cell is taken up by another"] == pool.complaints()
    pool.stop()
    assert 0 == pool.alive()


def test_replacements_come_to_an_end(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of("import os; os.kill(os.getpid(), 9)", results, monkeypatch)
    pool.replacements = 3
    assert 4 == len(wait_for(pool))


def test_what_a_worker_said_last_is_told_and_it_is_not_replaced(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (results / "workers").mkdir()
    pool = pool_of("import sys; print('the disk is full', file=sys.stderr); sys.exit(1)", results, monkeypatch)
    assert ["a worker ended (exit status 1): the disk is full"] == wait_for(pool)


def test_stopping_waits_until_the_workers_have_ended(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = results / "told"
    code = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGINT, lambda *_: (pathlib.Path({str(told)!r}).touch(), sys.exit(130)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    pool = pool_of(code, results, monkeypatch)
    until = time.monotonic() + 60
    while not any(b"ready" in path.read_bytes() for path in (results / "workers").iterdir()):
        assert time.monotonic() < until
        time.sleep(0.01)
    pool.stop()
    assert told.exists() and 0 == pool.alive() and [] == pool.complaints()
