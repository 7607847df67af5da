"""Cells as a queue that many share: nothing lost, nothing twice, whatever dies, fills up or is edited."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.leaderboard import queue as queues
from benchmarks.leaderboard.cells import (
    CLAIM,
    FAILED,
    FINISHED,
    REFUSED,
    RUNNING,
    Book,
    Chosen,
    cells_of,
    choose,
    last_step,
    read_book,
    write_book,
)
from benchmarks.leaderboard.protocol import as_dict, load
from benchmarks.leaderboard.queue import Claim, Taken, begin, is_held, open_queue
from benchmarks.leaderboard.worker import work
from registry.recorder import Recorder
from tests.benchmarks.leaderboard import crowd
from tests.benchmarks.leaderboard.crowd import TINY, quick, tiny

SPAWN = multiprocessing.get_context("spawn")
N_CELLS = 24


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The folder of the tiny protocol, nothing run."""
    begin(tmp_path / "results", tiny())
    return tmp_path / "results"


def books(results: Path) -> list[Book | None]:
    """What became of every cell."""
    return [read_book(cell.folder) for cell in cells_of(tiny(), results)]


# many workers


def test_eight_workers_on_one_folder_lose_no_cell_and_make_none_twice(tmp_path: Path) -> None:
    """Twenty times: all eight begin at once, each cell is made by exactly one of them."""
    n_workers, n_rounds = 8, 20
    barrier = SPAWN.Barrier(n_workers)
    workers = [SPAWN.Process(target=crowd.rounds, args=(str(tmp_path), n_rounds, barrier)) for _ in range(n_workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    assert [0] * n_workers == [worker.exitcode for worker in workers]
    made = [json.loads(path.read_text()) for path in tmp_path.glob("worker-*.json")]
    assert [N_CELLS] * n_rounds == [sum(each) for each in zip(*made, strict=True)]
    for k in range(n_rounds):
        cells = cells_of(tiny(), tmp_path / f"round-{k}")
        makers = [(cell.folder / "made").read_text().split() for cell in cells]
        assert [1] * N_CELLS == [len(each) for each in makers]
        assert {(FINISHED, 1)} == {(book.state, book.attempts) for book in books(tmp_path / f"round-{k}") if book}
    at_work = [sum(1 for n in each if n) for each in zip(*made, strict=True)]
    assert max(at_work) > 1, "one worker made everything: nothing was contended"


def test_what_a_killed_worker_held_is_taken_up_by_the_next(results: Path) -> None:
    worker = SPAWN.Process(target=crowd.die_at_a_cell, args=(str(results),))
    worker.start()
    worker.join(60)
    assert -9 == worker.exitcode
    (left,) = [book for book in books(results) if book]
    assert (RUNNING, 1) == (left.state, left.attempts)
    assert N_CELLS == work(results, act=quick)
    assert [2] + [1] * (N_CELLS - 1) == sorted((book.attempts for book in books(results) if book), reverse=True)


def test_a_claim_lasts_as_long_as_the_child_that_inherits_it(results: Path) -> None:
    """The worker is gone, its training process is not: nobody else begins the same cell."""
    cell = cells_of(tiny(), results)[0]
    code = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from benchmarks.leaderboard.queue import open_queue\n"
        "claim = open_queue(Path(sys.argv[1])).take('w')\n"
        "child = subprocess.Popen(['sh', '-c', 'echo begun; read line'], stdin=0, pass_fds=[claim.fd])\n"
        "os._exit(0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(results)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin and worker.stdout
        assert "begun\n" == worker.stdout.readline() and 0 == worker.wait(60)
        assert is_held(cell)
        with pytest.raises(Taken):
            Claim(cell)
        other = open_queue(results).take("other")
        assert other is not None and cell.folder != other.cell.folder
        worker.stdin.close()
        until = time.monotonic() + 60
        while is_held(cell):
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_cell_that_is_held_is_passed_over_and_waited_for(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_queue(results).take("first")
    assert first is not None and is_held(first.cell)
    assert N_CELLS - 1 == work(results, wait=False, act=quick)
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        first.release()  # it died, or gave up

    monkeypatch.setattr("benchmarks.leaderboard.worker.time.sleep", nap)
    assert 1 == work(results, act=lambda claim, queue: claim.say(state=FINISHED))
    assert 1 == len(naps) and 2 == claim_attempts(first)


def test_who_does_not_wait_looks_again_for_a_cell_that_is_held_for_a_moment(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` tries the lock of a cell that its worker has left, just when a job asks for it."""
    cell = cells_of(tiny(), results)[0]
    write_book(cell.folder, Book(cell.task.key, cell.algorithm, cell.seed, RUNNING, attempts=1))
    looking = Claim(cell)
    monkeypatch.setattr("benchmarks.leaderboard.worker.time.sleep", lambda seconds: looking.release())
    assert N_CELLS == work(results, wait=False, act=lambda claim, queue: claim.say(state=FINISHED))
    assert 2 == claim_attempts(looking)


def test_who_does_not_wait_gives_up_after_a_few_looks(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr("benchmarks.leaderboard.worker.time.sleep", naps.append)
    with Claim(cells_of(tiny(), results)[0]):
        assert N_CELLS - 1 == work(results, wait=False, act=lambda claim, queue: claim.say(state=FINISHED))
    assert 1 <= len(naps) <= 10 and sum(naps) <= 2.0


def claim_attempts(claim: Claim) -> int:
    """How often the cell was begun, by its file."""
    book = read_book(claim.cell.folder)
    assert book is not None
    return book.attempts


@pytest.mark.parametrize("state", [FINISHED, FAILED, REFUSED])
def test_what_has_ended_is_not_taken_again(results: Path, state: str) -> None:
    cell = cells_of(tiny(), results)[0]
    write_book(cell.folder, Book(cell.task.key, cell.algorithm, cell.seed, state))
    assert N_CELLS - 1 == work(results, act=quick) and not (cell.folder / "made").exists()


def test_a_worker_under_way_sees_what_is_put_back(results: Path) -> None:
    """It has seen the cell fail; `retry` makes it "running" and free, as if its worker had died."""
    queue, cell = open_queue(results), cells_of(tiny(), results)[0]
    write_book(cell.folder, Book(cell.task.key, cell.algorithm, cell.seed, FAILED))
    first = queue.take("w")
    assert first is not None and first.cell != cell
    write_book(cell.folder, Book(cell.task.key, cell.algorithm, cell.seed, RUNNING, attempts=1))
    second = queue.take("w")
    assert second is not None and second.cell == cell and 2 == second.book.attempts


def test_what_ended_between_the_look_and_the_lock_is_not_run_again(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker finishes the cell after we saw that it was open, and before we hold its lock."""
    queue, cell = open_queue(results), cells_of(tiny(), results)[0]
    taking = queues.Claim

    def late(claimed: Any) -> Claim:
        if claimed.folder == cell.folder:
            write_book(cell.folder, Book(cell.task.key, cell.algorithm, cell.seed, FINISHED))
        return taking(claimed)

    monkeypatch.setattr(queues, "Claim", late)
    claim = queue.take("w")
    assert claim is not None and claim.cell.folder != cell.folder and not is_held(cell)


def test_cells_go_seed_by_seed(results: Path) -> None:
    order = [cell.seed for cell in cells_of(tiny(), results)]
    assert sorted(order) == order and [1] * 6 == order[:6]


# clocks


@pytest.mark.parametrize("shift", [-1e9, 1e9])
def test_claims_do_not_rest_on_clocks(results: Path, monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    """Our clock is thirty years off, and so are the files: a live claim stands, a dead one does not."""
    alive = open_queue(results).take("alive")
    assert alive is not None
    dead = open_queue(results).take("dead")
    assert dead is not None
    dead.release()  # as the system does for who was killed
    for claim in (alive, dead):
        write_book(claim.cell.folder, claim.book.but(started=claim.book.started - shift))
        os.utime(claim.cell.folder / CLAIM, (1e9 - shift / 2, 1e9 - shift / 2))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + shift)
    queue = open_queue(results)
    taken = queue.take("other")
    assert taken is not None and taken.cell == dead.cell and 2 == taken.book.attempts
    with pytest.raises(Taken):
        Claim(alive.cell)


# disks


def full(path: Any, flags: Any = None) -> None:
    """What a full disk says."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write is tried again at once."""
    monkeypatch.setattr("epymarl_lite.utils.files._WAIT_S", 0.0)


def test_on_a_full_disk_nothing_is_claimed(results: Path, monkeypatch: pytest.MonkeyPatch, quickly: None) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("epymarl_lite.utils.files.os.fsync", full)
        with pytest.raises(OSError, match="No space left on device"):
            work(results, act=quick)
    assert [None] * N_CELLS == books(results)
    assert not any(is_held(cell) for cell in cells_of(tiny(), results))
    assert N_CELLS == work(results, act=quick)


def test_an_end_that_the_disk_refuses_is_booked_by_who_takes_the_cell_up(
    results: Path, monkeypatch: pytest.MonkeyPatch, quickly: None
) -> None:
    def make(claim: Claim, queue: Any) -> None:
        monkeypatch.setattr("epymarl_lite.utils.files.os.fsync", full)
        quick(claim, queue)

    with monkeypatch.context() as monkeypatch, pytest.raises(OSError, match="No space left on device"):
        work(results, act=make)
    (left,) = [book for book in books(results) if book]
    assert (RUNNING, 1) == (left.state, left.attempts)
    assert not list(results.rglob(".cell.json.*")), "a part of a file lies there"
    assert N_CELLS == work(results, act=quick) and all(book and book.state == FINISHED for book in books(results))


def test_a_file_system_without_locks_is_said_in_one_line(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int) -> bool:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("filelock._unix.lock_fd_nonblocking", refuse)
    with pytest.raises(ValueError, match="this file system gives no locks") as caught:
        open_queue(results).take("w")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"state": "won"}'])
def test_a_damaged_cell_file_is_said_in_one_line(results: Path, content: bytes) -> None:
    cell = cells_of(tiny(), results)[3]
    cell.folder.mkdir(parents=True)
    (cell.folder / "cell.json").write_bytes(content)
    with pytest.raises(ValueError, match="does not say what became of the cell") as caught:
        work(results, act=quick)
    assert "\n" not in str(caught.value) and str(cell.folder) in str(caught.value)


# protocols


def test_another_protocol_is_refused_with_both_hashes_and_what_to_do(results: Path) -> None:
    begin(results, tiny())  # the same again
    other = tiny(seeds=[1, 2, 3])
    before = (results / "protocol.json").read_bytes()
    with pytest.raises(ValueError) as caught:
        begin(results, other)
    for part in (tiny().hash[:12], other.hash[:12], "Name another --results", "--protocol"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value) and before == (results / "protocol.json").read_bytes()


def test_a_protocol_edited_midway_is_refused(results: Path) -> None:
    queue = open_queue(results)
    claim = queue.take("w")
    assert claim is not None
    claim.release()
    path = results / "protocol.json"
    edited = {**as_dict(tiny()), "test_nepisode": 7}
    path.write_text(json.dumps(edited))  # with the hash of before
    for look in (lambda: queue.take("w"), lambda: open_queue(results), lambda: begin(results, tiny())):
        with pytest.raises(ValueError, match="edited by hand"):
            look()
    path.write_text(json.dumps({name: edited[name] for name in edited if name != "hash"}))  # hash taken out
    with pytest.raises(ValueError, match="was edited while the folder is worked on"):
        queue.take("w")
    with pytest.raises(ValueError, match="this folder is of the protocol tiny"):
        begin(results, tiny())
    path.unlink()
    with pytest.raises(ValueError, match="was edited while the folder is worked on"):
        queue.take("w")


def test_a_protocol_written_in_another_way_is_the_same(results: Path) -> None:
    queue = open_queue(results)
    (results / "protocol.json").write_text(json.dumps(as_dict(tiny()), indent=4, sort_keys=True))
    assert queue.take("w") is not None


def test_the_folder_holds_the_resolved_protocol(results: Path) -> None:
    assert load(results / "protocol.json") == tiny()
    assert {**TINY, "tasks": [{**task, "settings": {}} for task in TINY["tasks"]], "hash": tiny().hash} == json.loads(
        (results / "protocol.json").read_text()
    )


def test_a_folder_that_was_not_begun_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no protocol lies there. Begin with `run"):
        open_queue(tmp_path)


# cells


def test_a_cells_settings_are_the_protocols_then_the_tasks_then_what_is_decided(tmp_path: Path) -> None:
    tasks = [{"key": "async:poac-1", "t_max": 1_000_000, "settings": {"lr": 0.1, "env_args.episode_limit": 9}}]
    protocol = tiny(settings={"lr": 0.2, "paper": True}, tasks=tasks, algorithms=["mvd"], seeds=[7])
    (cell,) = cells_of(protocol, tmp_path)
    assert {
        "lr": 0.1, "paper": True, "env_args.episode_limit": 9, "env_args.key": "async:poac-1", "seed": 7,
        "t_max": 1_000_000, "test_interval": 100, "test_nepisode": 2, "checkpoint_interval": 50_000,
        "save_best_model": True,
    } == cell.settings  # fmt: skip
    assert tmp_path / "cells/async-poac-1/mvd/seed-7" == cell.folder
    words = cell.command()
    assert ["--config=mvd", "with"] == words[2:4] and words[1].endswith("src/main.py")
    expected = {"lr=0.1", "seed=7", "env_args.key=async:poac-1", f"local_results_path={cell.folder}", "progress=False"}
    assert expected <= set(words)


def test_a_cell_with_a_run_goes_on_in_it(tmp_path: Path) -> None:
    cell = cells_of(tiny(), tmp_path)[0]
    runs = [cell.folder / f"sacred/mvd/async-tabular-relay/{k}" for k in (9, 10, 11)]
    for run in runs:
        run.mkdir(parents=True)
        (run / "run.json").write_text("{}")
        (run / "config.json").write_text("{}")
    assert cell.run() is None, "killed before its record was begun"
    for run in runs[:2]:
        (run / "records.jsonl").touch()
    assert runs[1] == cell.run() and ["-m", "registry", "resume", str(runs[1])] == cell.command()[1:]


def test_the_last_step_is_read_from_the_end_of_a_record(tmp_path: Path) -> None:
    assert 0 == last_step(tmp_path)
    with Recorder(tmp_path) as recorder:
        recorder.status("RUNNING")
        assert 0 == last_step(tmp_path)
        recorder.metric("loss", 1.0, 40)
        recorder.test(57, [{"seed": 1, "return": 2.0, "length": 3}])
        recorder.status("COMPLETED")
    assert 57 == last_step(tmp_path)
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.write(b'{"kind": "metric", "na')
    assert 57 == last_step(tmp_path)


def test_a_choice_narrows_the_protocol(tmp_path: Path) -> None:
    chosen = choose(tiny(), ["mvd", "vdn"], ["poac-1"], ["2"])
    assert Chosen(("mvd", "vdn"), ("async:poac-1",), (2,)) == chosen
    assert [("mvd", 2), ("vdn", 2)] == [(cell.algorithm, cell.seed) for cell in cells_of(tiny(), tmp_path, chosen)]
    assert all(chosen.tasks == choose(tiny(), [], [name], []).tasks for name in ("async-poac-1", "async:poac-1"))


def test_tasks_that_are_not_available_are_no_cells(tmp_path: Path) -> None:
    tasks = [*TINY["tasks"], {"key": "async:zinc-1", "t_max": 5}]
    assert N_CELLS == len(cells_of(tiny(tasks=tasks), tmp_path))


@pytest.mark.parametrize("given, line", [
    ((["qmx"], [], []), "--algorithms=qmx: unknown algorithm of tiny 'qmx'. Did you mean 'qmix'"),
    (([], ["poac-2"], []), "--tasks=poac-2: unknown task of tiny 'poac-2'. Did you mean 'poac-1'"),
    (([], ["zinc-1"], []), "--tasks=zinc-1: it cannot be run, the family zinc is not part of this version"),
    (([], [], ["5"]), "--seeds=5: unknown seed of tiny '5'"),
])  # fmt: skip
def test_a_choice_outside_the_protocol_is_said_in_one_line(given: Any, line: str) -> None:
    tasks = [*TINY["tasks"], {"key": "async:zinc-1", "t_max": 5}]
    with pytest.raises(ValueError) as caught:
        choose(tiny(tasks=tasks), *given)
    assert line in str(caught.value) and "\n" not in str(caught.value)
