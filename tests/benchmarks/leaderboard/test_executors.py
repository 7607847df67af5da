"""Workers as processes, as jobs of submitit's local executor, as tasks of a local Ray: all make the same cells."""

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
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
