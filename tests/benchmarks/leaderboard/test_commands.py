"""The verbs run, status and retry, and the way to all verbs."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.leaderboard import calibration, worker
from benchmarks.leaderboard.__main__ import VERBS, main
from benchmarks.leaderboard.cells import (
    CLAIM,
    FAILED,
    FINISHED,
    REFUSED,
    RUNNING,
    Book,
    Cell,
    Chosen,
    cells_of,
    read_book,
    write_book,
)
from benchmarks.leaderboard.commands import run as run_verb
from benchmarks.leaderboard.executors import EXECUTORS
from benchmarks.leaderboard.protocol import PROTOCOLS
from benchmarks.leaderboard.queue import Claim, Queue, begin, open_queue
from tests.benchmarks.leaderboard.crowd import TINY, tiny


def ask(*words: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of one command."""
    done = CliRunner().invoke(main, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def protocol(tmp_path: Path) -> str:
    """A file with the tiny protocol."""
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(TINY))
    return str(path)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The folder of the tiny protocol, nothing run."""
    begin(tmp_path / "results", tiny())
    return tmp_path / "results"


class Inline:
    """A pool whose only worker works while it is asked how many are alive."""

    def __init__(self, results: Path, chosen: Chosen, n_workers: int, **options: Any):
        self.results, self.chosen, self.n_workers, self.options = results, chosen, n_workers, options
        self.stopped = False
        Inline.last = self

    last: "Inline"
    ends: dict[str, tuple[str, str | None]] = {}  # algorithm -> state and reason

    def make(self, claim: Claim, queue: Queue) -> None:
        """Book what `ends` says."""
        state, reason = self.ends.get(claim.cell.algorithm, (FINISHED, None))
        claim.say(state=state, reason=reason)

    def alive(self) -> int:
        """Works through all."""
        worker.work(self.results, self.chosen, wait=False, act=self.make)
        return 0

    def complaints(self) -> list[str]:
        """None."""
        return []

    def stop(self) -> None:
        """Note it."""
        self.stopped = True


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> type[Inline]:
    """No processes are started."""
    monkeypatch.setattr(Inline, "ends", {})
    monkeypatch.setattr(run_verb, "make_pool", lambda name, *rest: Inline(*rest[:3], **{**rest[3], "executor": name}))
    return Inline


# the way to the verbs


def test_verbs_are_listed_without_importing_them() -> None:
    code, told, _ = ask("--help")
    assert 0 == code and all(f"  {verb} " in told for verb in VERBS)
    script = (
        "import sys\n"
        "from benchmarks.leaderboard.__main__ import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "sys.exit(str(sorted(name for name in sys.modules if '.commands.' in name or name in ('torch', 'rich'))))"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "[]" == done.stderr.strip()


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_shows_an_example_in_its_help(verb: str) -> None:
    code, told, error = ask(verb, "--help")
    assert 0 == code, error
    assert f"  python -m benchmarks.leaderboard {verb} " in told
    assert verb in ("verify", "add", "scores") or "--results" in told  # those three look at no results folder


@pytest.mark.parametrize("words, line", [
    ((), "Missing command"),
    (("rum",), "unknown verb 'rum'. Did you mean 'run'"),
    (("run",), "Missing option '--results'"),
    (("run", "--results", "R"), "--protocol is missing: which one? Known: paper, small, smoke, standard"),
    (("run", "--results", "R", "--protocol", "smal"), "Did you mean 'small'"),
    (("run", "--results", "R", "--protocol", "smoke", "--workers", "0"), "--workers"),
    (("run", "--results", "R", "--protocol", "smoke", "--executor", "rai"), "--executor"),
    (("run", "--results", "R", "--protocol", "smoke", "--tasks", "poac-2"), "unknown task of smoke 'poac-2'"),
    (("run", "--results", "R", "--protocol", "smoke", "--algorithms", "vdn"), "unknown algorithm of smoke 'vdn'"),
    (("run", "--results", "R", "--protocol", "smoke", "--seeds", "one"), "unknown seed of smoke 'one'"),
    (("run", "--results", "R", "--protocol", "smoke", "--slurm-option", "x"), "--slurm-option x: neither a name"),
    (("run", "--results", "tiny.yaml/R", "--protocol", "smoke"), "results cannot be written there"),
    (("status", "--results", "R"), "no protocol lies there"),
    (("retry", "--results", "R"), "no protocol lies there"),
])  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, protocol: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, told, error = ask(*words)
    assert (2, "") == (code, told) and line in error and 1 == error.count("\n"), error
    assert ["tiny.yaml"] == [path.name for path in tmp_path.iterdir()]


# run


def test_run_makes_every_cell_and_a_second_run_none(tmp_path: Path, protocol: str, inline: type[Inline]) -> None:
    words = ("run", "--results", str(tmp_path / "R"), "--protocol", protocol, "--workers", "3")
    code, told, error = ask(*words)
    assert (0, "") == (code, error) and 24 == told.count(": finished") and "[24/24]" in told
    assert 3 == inline.last.n_workers
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cell.json")}
    del inline.last
    code, told, _ = ask(*words)
    assert 0 == code and "24 of 24 cells finished" in told and not hasattr(inline, "last")
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cell.json")}


def test_a_folder_that_was_begun_needs_no_protocol(results: Path, inline: type[Inline]) -> None:
    assert 0 == ask("run", "--results", str(results), "--seeds", "1,3", "--algorithms", "mvd")[0]
    made = {(cell.algorithm, cell.seed) for cell in cells_of(tiny(), results) if read_book(cell.folder)}
    assert {("mvd", 1), ("mvd", 3)} == made


def test_run_ends_with_status_1_if_a_cell_failed_and_tells_why(results: Path, inline: type[Inline]) -> None:
    inline.ends = {"qmix": (FAILED, "exit status 1: no room"), "vdn": (REFUSED, "vdn: three agents")}
    code, told, _ = ask("run", "--results", str(results), "--seeds", "1", "--tasks", "poac-1")
    assert 1 == code
    assert "poac-1 qmix seed 1: failed" in told and "(exit status 1: no room)" in told
    assert "poac-1 vdn seed 1: refused" in told
    inline.ends = {}
    assert 1 == ask("run", "--results", str(results), "--seeds", "1", "--tasks", "poac-1")[0], "not retried"
    assert 0 == ask("run", "--results", str(results), "--seeds", "1", "--tasks", "poac-1", "--algorithms", "mvd")[0]


def test_run_says_what_is_left_when_all_workers_have_ended(
    results: Path, inline: type[Inline], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline, "alive", lambda self: 0)
    code, _, error = ask("run", "--results", str(results))
    assert 1 == code and "24 of 24 cells are left. The same command goes on from here." in error


def test_an_interrupt_stops_the_workers(results: Path, inline: type[Inline], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "alive", lambda self: os.kill(os.getpid(), signal.SIGTERM) or 1)
    before = signal.getsignal(signal.SIGTERM)
    code, _, error = ask("run", "--results", str(results))
    assert 130 == code and "The same command goes on from here" in error and inline.last.stopped
    assert before == signal.getsignal(signal.SIGTERM)


def test_options_of_an_executor_reach_it_with_their_types(results: Path, inline: type[Inline]) -> None:
    words = ("--executor", "slurm", "--slurm-option", "timeout_min=90", "--slurm-option", "slurm_partition=cpu")
    ask("run", "--results", str(results), "--ray-option", "address=auto", *words)
    assert {"timeout_min": 90, "slurm_partition": "cpu", "executor": "slurm"} == inline.last.options


def test_another_protocol_on_the_folder_is_refused(results: Path, protocol: str) -> None:
    code, told, error = ask("run", "--results", str(results), "--protocol", "smoke")
    assert (2, "") == (code, told) and "this folder is of the protocol tiny" in error and 1 == error.count("\n")
    code, told, error = ask("run", "--results", str(results), "--protocol", "smoke", "--dry-run")
    assert (2, "") == (code, told) and "this folder is of the protocol tiny" in error


# dry run


def test_a_dry_run_shows_every_cell_and_writes_nothing(tmp_path: Path, protocol: str) -> None:
    words = ("run", "--results", str(tmp_path / "R"), "--protocol", protocol, "--dry-run", "--calibration", "0")
    code, told, error = ask(*words)
    lines = told.splitlines()
    assert 0 == code and 26 == len(lines) and ["cell", "state", "time", "memory"] == lines[0].split()
    assert ["tabular-relay", "mvd", "seed", "1", "not", "run", "-", "-"] == lines[1].split()
    assert "24 cells to run; nothing was measured." == lines[-1]
    assert ["tiny.yaml"] == [path.name for path in tmp_path.iterdir()]


def test_a_dry_run_predicts_what_is_left(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 steps/s after 20 s: 2,000 steps of poac-1 take 40 s. mvd is measured once for its two seeds."""
    measured = []

    def measure(cell: Cell, config: dict[str, Any], seconds: float) -> calibration.Cost:
        measured.append((cell.name, config["name"], seconds))
        return calibration.Cost(startup_s=20.0, rate=100.0, memory=1_500_000_000)

    monkeypatch.setattr(calibration, "measure", measure)
    done = next(cell for cell in cells_of(tiny(), results) if cell.name == "poac-1 mvd seed 1")
    write_book(done.folder, Book(done.task.key, "mvd", 1, FINISHED))
    words = ("--tasks", "poac-1", "--algorithms", "mvd", "--seeds", "1,2,3", "--workers", "2", "--calibration", "7")
    code, told, error = ask("run", "--results", str(results), "--dry-run", *words)
    assert 0 == code, error
    assert [("poac-1 mvd seed 2", "mvd", 7.0)] == measured
    assert "poac-1 mvd seed 1  finished  -     -" in told
    assert "poac-1 mvd seed 2  not run   40 s  1.5 GB" in told
    assert "2 cells to run: about 1 min of work, 40 s with 2 workers of this machine and up to 3.0 GB of memory" in told


def test_a_dry_run_leaves_failed_cells_to_retry(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `run` does: they are neither measured nor counted."""
    measured = []

    def measure(cell: Cell, config: dict[str, Any], seconds: float) -> calibration.Cost:
        measured.append(cell.name)
        return calibration.Cost(startup_s=20.0, rate=100.0, memory=1_500_000_000)

    monkeypatch.setattr(calibration, "measure", measure)
    put(results, "poac-1 mvd seed 1", FAILED, "no room")
    put(results, "poac-1 qmix seed 1", FAILED, "no room")
    put(results, "poac-1 qmix seed 2", RUNNING)
    words = ("--tasks", "poac-1", "--algorithms", "mvd,qmix", "--seeds", "1,2", "--workers", "1", "--dry-run")
    code, told, _ = ask("run", "--results", str(results), *words)
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert 0 == code and {"poac-1 mvd seed 1 failed - -", "poac-1 qmix seed 1 failed - -"} <= set(lines)
    assert "2 failed, which run leaves alone: put them back with retry." == lines[-2]
    assert lines[-1].startswith("2 cells to run: about 1 min of work")
    assert ["poac-1 mvd seed 2", "poac-1 qmix seed 2"] == sorted(measured)


def test_what_the_configuration_refuses_is_shown_with_the_reason(tmp_path: Path) -> None:
    """MVD of order 3 needs three agents; the payoff task has two."""
    tasks = [{"key": "async:tabular-payoff", "t_max": 100}]
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**TINY, "tasks": tasks, "seeds": [1], "settings": {"mvd_order": 3}}))
    words = ("run", "--results", str(tmp_path / "R"), "--protocol", str(path), "--algorithms", "mvd", "--dry-run")
    code, told, _ = ask(*words)
    assert 0 == code and "tabular-payoff mvd seed 1  refused" in told
    assert "tabular-payoff mvd is refused: mvd: mvd_order=3 is not accepted with 2 agents" in told


# status and retry


def put(results: Path, name: str, state: str, reason: str | None = None, attempts: int = 1) -> Cell:
    """Say what became of a cell."""
    cell = next(cell for cell in cells_of(tiny(), results) if cell.name == name)
    book = Book(cell.task.key, cell.algorithm, cell.seed, state, reason, attempts, worker="there-7")
    write_book(cell.folder, book)
    return cell


def test_status_tells_every_state_and_every_reason(results: Path) -> None:
    put(results, "poac-1 mvd seed 1", FINISHED)
    put(results, "poac-1 qmix seed 1", FAILED, "exit status 1: no room", 2)
    put(results, "tabular-relay mvd seed 1", RUNNING, attempts=3)
    for seed in (1, 2):
        put(results, f"tabular-relay vdn seed {seed}", REFUSED, "vdn: three agents")
    held = put(results, "tabular-relay qmix seed 1", RUNNING)
    with Claim(held):
        code, told, _ = ask("status", "--results", str(results))
    assert 0 == code
    first, *lines = told.splitlines()
    assert first == (
        f"{results}: protocol tiny ({tiny().hash[:12]}…), 24 cells: 1 finished, 1 running, 1 left by its worker, "
        "1 failed, 2 refused, 18 not run"
    )
    assert ["finished runs  tabular-relay  poac-1", "mvd            0/4            1/4"] == lines[:2]
    assert "poac-1 qmix seed 1: failed, attempt 2, exit status 1: no room" in lines
    assert "tabular-relay mvd seed 1: left by its worker, attempt 3" in lines
    assert "tabular-relay qmix seed 1: running, on there-7" in lines
    assert 1 == lines.count("tabular-relay vdn: refused, vdn: three agents")
    assert not any("not run" in line for line in lines)


def test_status_tells_every_cell_if_asked_and_tasks_that_are_not_there(tmp_path: Path) -> None:
    tasks = [*TINY["tasks"], {"key": "async:zinc-1", "t_max": 5}]
    begin(tmp_path / "results", tiny(tasks=tasks))
    _, told, _ = ask("status", "--results", str(tmp_path / "results"), "--cells", "--seeds", "2")
    assert 6 == told.count("seed 2: not run") and "zinc-1: not available, the family zinc is not part" in told


def test_status_changes_nothing(results: Path) -> None:
    put(results, "tabular-relay mvd seed 1", RUNNING)
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*.json")}
    ask("status", "--results", str(results))
    assert before == {path: path.stat().st_mtime_ns for path in results.rglob("*.json")}
    assert not (results / "cells/async-poac-1").exists()


def refuse_the_lock(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Every lock is in a folder of somebody else's."""

    def refuse(self: Any, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), self.lock_file)

    monkeypatch.setattr("filelock.BaseFileLock.acquire", refuse)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_status_of_a_folder_that_we_may_not_write_says_that_it_cannot_tell(
    results: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    cell = put(results, "tabular-relay mvd seed 1", RUNNING, attempts=2)
    put(results, "poac-1 mvd seed 1", FINISHED)
    (cell.folder / CLAIM).touch()
    refuse_the_lock(monkeypatch, number)
    code, told, error = ask("status", "--results", str(results))
    assert (0, "") == (code, error) and "24 cells: 1 finished, 1 running?, 22 not run" in told
    line = "tabular-relay mvd seed 1: running?, its lock cannot be tried by you, on there-7, attempt 2"
    assert line in told.splitlines()


def test_status_makes_no_lock_where_there_is_none(results: Path) -> None:
    cell = put(results, "tabular-relay mvd seed 1", RUNNING)
    assert "1 left by its worker" in ask("status", "--results", str(results))[1]
    assert ["cell.json"] == os.listdir(cell.folder)


def test_what_the_system_refuses_is_one_line_with_status_1(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = put(results, "poac-1 qmix seed 1", FAILED, "no room")
    refuse_the_lock(monkeypatch, errno.EACCES)
    code, told, error = ask("retry", "--results", str(results))
    assert (1, "", 1) == (code, told, error.count("\n"))
    assert error.startswith(f"retry: {cell.folder / CLAIM}: Permission denied. See that ")


@pytest.mark.parametrize("words", [("verify",), ("add", "--board", "board")])
def test_a_bundle_that_cannot_be_read_is_one_line_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    bundle = tmp_path / "theirs.zip"
    bundle.touch()
    opening = Path.open

    def refuse(self: Path, *given: Any, **named: Any) -> Any:
        if self == bundle:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opening(self, *given, **named)

    monkeypatch.setattr(Path, "open", refuse)
    code, told, error = ask(words[0], str(bundle), *words[1:])
    assert (1, "", 1) == (code, told, error.count("\n")) and f"{words[0]}: {bundle}: Permission denied. " in error


def test_a_reader_that_went_away_is_no_complaint(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `status | head -1`."""

    def gone(*_: Any) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr("benchmarks.leaderboard.commands.status.table", gone)
    code, _, error = ask("status", "--results", str(results))
    assert (1, "") == (code, error)


def test_retry_puts_failed_cells_back_and_no_others(results: Path) -> None:
    failed = put(results, "poac-1 qmix seed 1", FAILED, "no room", 2)
    other = put(results, "poac-1 mvd seed 1", FAILED, "no room")
    refused = put(results, "tabular-relay vdn seed 1", REFUSED, "three agents")
    finished = put(results, "tabular-relay mvd seed 1", FINISHED)
    code, told, _ = ask("retry", "--results", str(results), "--algorithms", "qmix")
    assert 0 == code and "poac-1 qmix seed 1: back in the queue, was failed (no room)\n" == told
    states = [(book := read_book(cell.folder)) and book.state for cell in (failed, other, refused, finished)]
    assert [RUNNING, FAILED, REFUSED, FINISHED] == states
    claim = next(claim for claim in iter(lambda: open_queue(results).take("w"), None) if claim.cell == failed)
    assert 3 == claim.book.attempts
    assert "tabular-relay vdn" in ask("retry", "--results", str(results), "--refused", "--tasks", "tabular-relay")[1]


def test_retry_leaves_alone_what_is_held(results: Path) -> None:
    cell = put(results, "poac-1 qmix seed 1", FAILED, "no room")
    with Claim(cell):
        code, told, _ = ask("retry", "--results", str(results))
    assert 0 == code and "no chosen cell is failed; nothing was changed" in told
    assert (book := read_book(cell.folder)) and book.state == FAILED


def test_retry_anew_keeps_the_old_run_aside(results: Path) -> None:
    cell = put(results, "poac-1 qmix seed 1", FAILED, "no room")
    (cell.folder / "sacred/qmix").mkdir(parents=True)
    (cell.folder / "output.txt").write_text("what it said")
    ask("retry", "--results", str(results), "--anew")
    assert not (cell.folder / "sacred").exists() and cell.run() is None
    (aside,) = cell.folder.glob("given-up-*")
    assert (aside / "sacred/qmix").is_dir() and "what it said" == (aside / "output.txt").read_text()


# executors


def test_every_executor_is_where_the_table_says() -> None:
    from registry.catalog import load

    assert {"local", "ray", "slurm"} == set(EXECUTORS)
    assert all(callable(getattr(load(entry), "alive")) for entry in EXECUTORS.values())


def test_the_shipped_protocols_are_data_of_the_package() -> None:
    assert {"paper.yaml", "small.yaml", "smoke.yaml", "standard.yaml", "schema.json"} == {
        path.name for path in PROTOCOLS.iterdir()
    }
