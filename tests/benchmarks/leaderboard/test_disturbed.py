"""A smoke run whose workers are killed again and again comes to the same results as one that nobody disturbs."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.leaderboard.cells import FINISHED, RUNNING, Cell, Chosen, cells_of, read_book
from benchmarks.leaderboard.protocol import load
from benchmarks.leaderboard.queue import is_held
from benchmarks.processes import ROOT, environment
from tests.registry.command import columns, story

CHOSEN = Chosen(tasks=("async:tabular-relay",), seeds=(1,))
WORDS = ["--protocol", "smoke", "--tasks", "tabular-relay", "--seeds", "1", "--workers", "2"]
KINDS = ("worker and training", "command", "worker", "worker and training")
LIMIT_S = 1200.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died"),
]


def begin(results: Path) -> subprocess.Popen[bytes]:
    """Start the command."""
    command = [sys.executable, "-m", "benchmarks.leaderboard", "run", "--results", str(results), *WORDS]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the command ran to its end."""
    results = tmp_path_factory.mktemp("undisturbed")
    assert 0 == begin(results).wait(LIMIT_S)
    return results


def cells(results: Path) -> list[Cell]:
    """All that the command makes."""
    return cells_of(load("smoke"), results, CHOSEN)


def checkpoints(results: Path) -> set[Path]:
    """Every checkpoint that lies there now."""
    return {path for path in results.glob("cells/*/*/*/sacred/*/*/*/checkpoints/*") if path.name.isdigit()}


def workers(command: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The workers of a command."""
    try:
        children = psutil.Process(command.pid).children()
        return [child for child in children if "benchmarks.leaderboard.worker" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def strike(command: subprocess.Popen[bytes], kind: str, rng: random.Random) -> str:
    """kill -9 of a worker, alone or with its training, or of the command itself; what was struck."""
    if kind == "command":
        command.kill()
        return kind
    victims = [worker for worker in workers(command) if worker.children()]
    if not victims:
        return "nobody"
    victim = rng.choice(victims)
    trainings = victim.children()
    victim.kill()
    for training in trainings if kind != "worker" else []:
        training.kill()
    return kind


def test_killed_workers_change_nothing(undisturbed: Path, tmp_path: Path) -> None:
    rng, seen, struck = random.Random(3), set(), []
    until = time.monotonic() + LIMIT_S
    command = begin(tmp_path)
    try:
        while command.poll() is None or any(book_state(cell) != FINISHED for cell in cells(tmp_path)):
            assert time.monotonic() < until, struck
            if command.poll() is not None:
                command = begin(tmp_path)  # the same command again
            new = checkpoints(tmp_path) - seen
            if new and len(struck) < len(KINDS):  # each kill is after new progress, so it comes to an end
                seen |= new
                time.sleep(rng.random() / 4)
                struck.append(strike(command, KINDS[len(struck)], rng))
            time.sleep(0.02)
    finally:
        command.kill()
    assert 0 == command.wait() or "command" in struck
    assert sum(kind != "nobody" for kind in struck) >= 2, struck
    for cell, other in zip(cells(undisturbed), cells(tmp_path), strict=True):
        assert_same_cell(cell, other)
    assert 1 == max(attempts(undisturbed)) < max(attempts(tmp_path))


def attempts(results: Path) -> list[int]:
    """How often each cell was begun or gone on with."""
    return [book.attempts for cell in cells(results) if (book := read_book(cell.folder))]


def book_state(cell: Cell) -> str | None:
    """What became of a cell; None before it is begun."""
    book = read_book(cell.folder)
    assert book is None or book.state in (RUNNING, FINISHED), book
    return book and book.state


def assert_same_cell(one: Cell, other: Cell) -> None:
    """The same run, and the same episodes of its best model."""
    runs = one.run(), other.run()
    assert runs[0] is not None and runs[1] is not None
    assert "1" == runs[1].name and not is_held(other)
    assert story(runs[0]) == story(runs[1]) and columns(runs[0]) == columns(runs[1])
    for name in ("episodes.jsonl", "agent.safetensors", "last.safetensors"):
        assert (one.folder / "evaluation" / name).read_bytes() == (other.folder / "evaluation" / name).read_bytes()
