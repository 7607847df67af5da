"""One cell in a worker's hands: what it does, and what it books of every way that a process can end."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from benchmarks import processes
from benchmarks.leaderboard import worker
from benchmarks.leaderboard.cells import (
    FAILED,
    FINISHED,
    REFUSED,
    RUNNING,
    Book,
    Cell,
    cells_of,
    read_book,
    write_book,
)
from benchmarks.leaderboard.queue import begin, is_held, open_queue
from benchmarks.processes import environment, last_line, run_process
from registry.recorder import Recorder
from registry.records import COMPLETED
from tests.benchmarks.leaderboard.crowd import TINY, tiny

ONE = {"seeds": [1], "algorithms": ["mvd"], "tasks": TINY["tasks"][:1]}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The folder of a protocol of one cell."""
    begin(tmp_path / "results", tiny(**ONE))
    return tmp_path / "results"


def only(results: Path) -> Cell:
    """The cell."""
    (cell,) = cells_of(tiny(**ONE), results)
    return cell


def book_of(results: Path) -> Book:
    """What became of it."""
    book = read_book(only(results).folder)
    assert book is not None
    return book


def run_of(cell: Cell, status: str) -> Path:
    """A run's folder whose record says `status`, with checkpoints."""
    run = cell.folder / "sacred/mvd/async-tabular-relay/1"
    (run / "checkpoints/7").mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "config.json"):
        (run / name).write_text("{}")
    with Recorder(run) as recorder:
        recorder.status(status)
    return run


Commanding = Callable[[str], None]


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> Commanding:
    """Lets a cell's command be a few lines of Python."""

    def set_to(code: str) -> None:
        monkeypatch.setattr(Cell, "command", lambda self: [sys.executable, "-c", code])

    return set_to


@pytest.mark.parametrize("code, state, reason", [
    ("import sys; print('mvd: no room'); sys.exit(2)", REFUSED, "mvd: no room"),
    ("import sys; print('one\\ntwo\\n\\n'); sys.exit(3)", FAILED, "exit status 3: two"),
    ("import sys; print('bad loss\\nThe full trace: x; -d'); sys.exit(1)", FAILED, "exit status 1: bad loss"),
    ("import sys; sys.exit(1)", FAILED, "exit status 1: it said nothing"),
    ("import os; print('at work', flush=True); os.kill(os.getpid(), 9)", FAILED, "killed by signal 9: at work"),
    ("pass", FAILED, worker.NOT_COMPLETED),
])  # fmt: skip
def test_every_way_to_end_is_booked_with_its_reason(
    results: Path, as_command: Commanding, code: str, state: str, reason: str
) -> None:
    as_command(code)
    assert 1 == worker.work(results)
    book = book_of(results)
    assert (state, reason, 1, None) == (book.state, book.reason, book.attempts, book.run)
    assert book.ended is not None and book.ended >= book.started
    assert not is_held(only(results)) and 0 == worker.work(results), "it was run again"


def test_a_reason_does_not_tell_where_the_folder_lies(results: Path, as_command: Commanding) -> None:
    as_command(f"import sys; print('{results.absolute()}/cells/x: no room'); sys.exit(1)")
    worker.work(results)
    assert "exit status 1: ./cells/x: no room" == book_of(results).reason


def test_a_command_that_is_refused_when_it_resumes_has_failed(results: Path, as_command: Commanding) -> None:
    run_of(only(results), "FAILED")
    as_command("import sys; print('its checkpoints are lost'); sys.exit(2)")
    worker.work(results)
    book = book_of(results)
    assert (FAILED, "exit status 2: its checkpoints are lost") == (book.state, book.reason)
    assert "sacred/mvd/async-tabular-relay/1" == book.run


@pytest.mark.parametrize("end", ["sys.exit(130)", "sys.exit(143)", "os.kill(os.getpid(), 15)"])
def test_a_process_that_somebody_stopped_is_left_to_go_on_and_not_taken_again_by_us(
    results: Path, as_command: Commanding, end: str
) -> None:
    as_command(f"import os, sys; {end}")
    assert 1 == worker.work(results)
    assert (RUNNING, 1) == (book_of(results).state, book_of(results).attempts)
    assert not is_held(only(results)) and open_queue(results).take("another") is not None


def test_a_run_that_is_completed_is_not_trained_again(results: Path, as_command: Commanding) -> None:
    """Its worker was killed after the training, before it could say so."""
    run = run_of(only(results), COMPLETED)
    as_command("import sys; sys.exit('trained again')")
    worker.work(results)
    assert (FINISHED, None) == (book_of(results).state, book_of(results).reason)
    assert run.exists() and not (run / "checkpoints").exists(), "checkpoints are for runs that go on"


def test_checkpoints_left_by_a_kill_behind_the_last_line_of_the_book_are_removed(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell is finished, and its worker died before it had removed them: who sees that does."""
    run = run_of(only(results), COMPLETED)

    def die(cell: Cell) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(worker, "remove_checkpoints", die)
        worker.work(results)
    assert FINISHED == book_of(results).state and (run / "checkpoints").exists()
    assert open_queue(results).is_done() and not (run / "checkpoints").exists()
    assert (run / "records.jsonl").exists() and 0 == worker.work(results)


@pytest.mark.parametrize("state", [RUNNING, FAILED, REFUSED])
def test_checkpoints_of_a_cell_that_may_go_on_stay(results: Path, state: str) -> None:
    """Even of a run whose record says COMPLETED: the book is written last."""
    cell = only(results)
    run = run_of(cell, COMPLETED)
    write_book(cell.folder, Book(cell.task.key, cell.algorithm, cell.seed, state, attempts=1))
    queue = open_queue(results)
    assert (queue.take("w") is not None) == (state == RUNNING) and queue.is_done() == (state != RUNNING)
    assert (run / "checkpoints/7").exists()


def test_what_was_killed_before_its_record_began_leaves_nothing_behind(results: Path, as_command: Commanding) -> None:
    """Else the next run of the cell would be number 2."""
    born_dead = only(results).folder / "sacred/mvd/async-tabular-relay/1"
    born_dead.mkdir(parents=True)
    (born_dead / "config.json").touch()
    as_command("import sys; sys.exit(1)")
    worker.work(results)
    assert not born_dead.exists()


def test_after_training_comes_the_absolute_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_command: Commanding
) -> None:
    protocol = tiny(**ONE, absolute_episodes=16)
    begin(tmp_path / "results", protocol)
    (cell,) = cells_of(protocol, tmp_path / "results")
    run = run_of(cell, COMPLETED)
    commands = []

    def run_it(command: list[str], output: Path, lend: Any) -> int:
        commands.append(command)
        output.write_text("no best model\n")
        return len(commands) % 2  # the first fails

    monkeypatch.setattr(worker, "run_process", run_it)
    worker.work(tmp_path / "results")
    assert (FAILED, "absolute metric: exit status 1: no best model") == (
        (book := read_book(cell.folder)) and book.state, book and book.reason
    )  # fmt: skip
    given = ["--run", str(run), "--model", "best", "--episodes", "16", "--with-last"]
    out = ["--out", str(cell.folder / "evaluation")]
    assert ["-m", "registry", "evaluate", *given, *out] == commands[0][1:]
    assert (run / "checkpoints").exists()


def test_an_interrupted_worker_ends_its_process_first(results: Path, as_command: Commanding) -> None:
    """SIGTERM to the worker: its process is told once, ends in good order, and the cell can go on."""
    told = results / "told"
    as_command("")
    child = (
        "import os, signal, sys, time\n"
        f"signal.signal(signal.SIGINT, lambda *_: (open({str(told)!r}, 'a').write('x'), sys.exit(130)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with a_worker_at(child, results) as process:
        process.terminate()
        assert 130 == process.wait(60)
    assert "x" == told.read_text() and RUNNING == book_of(results).state and not is_held(only(results))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_process_ends_with_a_worker_that_is_killed(results: Path) -> None:
    """kill -9 of the worker: its training gets SIGTERM, and nobody else has the cell until that has ended."""
    told, go = results / "told", results / "go"
    child = (
        "import os, pathlib, signal, sys, time\n"
        "def end(*_):\n"
        f"    pathlib.Path({str(told)!r}).touch()\n"
        f"    while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with a_worker_at(child, results) as process:
        process.kill()
        assert -signal.SIGKILL == process.wait(60)
    wait_until(told.exists)
    assert is_held(only(results)) and open_queue(results).take("another") is None
    go.touch()
    wait_until(lambda: not is_held(only(results)))
    assert RUNNING == book_of(results).state


@contextmanager
def a_worker_at(child: str, results: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a process whose cell's process, the Python code `child`, has said ready."""
    code = (
        "import sys\n"
        "from benchmarks.leaderboard import worker\n"
        "from benchmarks.leaderboard.cells import Cell\n"
        f"Cell.command = lambda self: [sys.executable, '-c', {child!r}]\n"
        "sys.exit(worker.main(sys.argv))\n"
    )
    words = worker.command(results, worker.ALL, wait=True)[-2:]
    with subprocess.Popen([sys.executable, "-c", code, *words], env=environment()) as process:
        output = only(results).folder / "output.txt"
        wait_until(lambda: output.exists() and b"ready" in output.read_bytes())
        yield process


def wait_until(is_so: Callable[[], bool], limit_s: float = 300.0) -> None:
    """Wait for something that another process does."""
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_worker_says_in_one_line_what_stops_it(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker, "die_with_parent", lambda *_: None)
    words = worker.command(results, worker.ALL, wait=True)[-3:]
    (results / "protocol.json").write_text("{}")
    assert 2 == worker.main(words)
    monkeypatch.setattr(worker, "work", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert 1 == worker.main(words)
    lines = capsys.readouterr().err.splitlines()
    assert 2 == len(lines) and "this is not a protocol" in lines[0] and "No space left on device" in lines[1]


# processes


def test_an_output_is_added_to_and_its_last_line_is_that_of_this_process(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    assert 0 == run_process([sys.executable, "-c", "print('first')"], output)
    before = output.stat().st_size
    assert 4 == run_process([sys.executable, "-c", "raise SystemExit(4)"], output)
    assert "first" == last_line(output) and processes.SAID_NOTHING == last_line(output, before)


def test_a_run_is_of_our_own_host_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPYMARL_HOME", "elsewhere")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert "1" == environment()["OMP_NUM_THREADS"] and "EPYMARL_HOME" not in environment()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert "3" == environment()["OMP_NUM_THREADS"]


def test_a_worker_imports_neither_torch_nor_sacred() -> None:
    """It lives beside its training for hours."""
    code = "import sys, benchmarks.leaderboard.worker; sys.exit(str({'torch', 'sacred', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment()}, capture_output=True)
    assert b"set()" == done.stderr.strip()


def test_a_cell_file_is_what_readers_expect(results: Path, as_command: Commanding) -> None:
    as_command("import sys; sys.exit(1)")
    worker.work(results)
    told = json.loads((only(results).folder / "cell.json").read_text())
    assert {
        "schema": 1, "task": "async:tabular-relay", "algorithm": "mvd", "seed": 1, "state": "failed", "attempts": 1,
        "run": None,
    } == {name: told[name] for name in told if name not in ("reason", "worker", "started", "ended")}  # fmt: skip
