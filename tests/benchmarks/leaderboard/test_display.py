"""What a person sees while workers work."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.leaderboard.cells import FAILED, FINISHED, REFUSED, RUNNING, Book, Cell, cells_of, write_book
from benchmarks.leaderboard.display import Display, Watch, bar, duration
from registry.recorder import Recorder
from tests.benchmarks.leaderboard.crowd import tiny


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    """Three cells of 1,000 steps."""
    return cells_of(tiny(seeds=[1], tasks=[{"key": "async:tabular-relay", "t_max": 1000}]), tmp_path)


def put(cell: Cell, state: str, reason: str | None = None, attempts: int = 1) -> None:
    """Say what became of a cell."""
    book = Book(cell.task.key, cell.algorithm, cell.seed, state, reason, attempts, worker="here-1")
    write_book(cell.folder, book)


def at_step(cell: Cell, step: int) -> None:
    """Let a cell's run be there."""
    run = cell.folder / f"sacred/{cell.algorithm}/async-tabular-relay/1"
    run.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "config.json"):
        (run / name).write_text("{}")
    with Recorder(run) as recorder:
        recorder.metric("loss", 0.0, step)


def test_rates_and_the_time_left_are_those_of_the_records(cells: list[Cell]) -> None:
    """Two cells at work at 10 and 30 steps/s, at steps 200 and 400: 2,400 steps are left, at 40 a second."""
    clock = Clock()
    watch = Watch(cells, clock)
    for cell, step in zip(cells, (100, 100)):
        put(cell, RUNNING)
        at_step(cell, step)
    first = watch.look()
    assert (None, None) == (first.rate, first.eta_s) and [100, 100] == [row.step for row in first.rows]
    clock.now += 10.0
    at_step(cells[0], 200)
    at_step(cells[1], 400)
    now = watch.look()
    assert [10.0, 30.0] == [row.rate for row in now.rows]
    assert (40.0, (800 + 600 + 1000) / 40) == (now.rate, now.eta_s)
    assert "0 of 3 cells finished, 2 at work, 40 steps/s, about 1 min left" == now.sentence()


def test_a_run_that_went_back_to_its_checkpoint_has_no_negative_rate(cells: list[Cell]) -> None:
    clock = Clock()
    watch = Watch(cells[:1], clock)
    put(cells[0], RUNNING)
    rates = []
    for step in (500, 300, 350):
        at_step(cells[0], step)
        rates += [row.rate for row in watch.look().rows]
        clock.now += 5.0
    assert [None, None, 10.0] == rates


def test_a_change_is_told_once(cells: list[Cell]) -> None:
    watch = Watch(cells)
    put(cells[0], RUNNING)
    assert [(cells[0], RUNNING)] == [(cell, book.state) for cell, book in watch.look().changed]
    assert () == watch.look().changed
    put(cells[0], FAILED, "no room")
    assert [FAILED] == [book.state for _, book in watch.look().changed]


def test_without_a_terminal_there_are_plain_lines(cells: list[Cell]) -> None:
    out = io.StringIO()
    with Display(Watch(cells), Console(file=out)) as display:
        put(cells[0], RUNNING)
        display.update()
        put(cells[0], FINISHED)
        put(cells[1], FAILED, "exit status 1: [bold]no room[/bold]", 2)
        put(cells[2], REFUSED, "two agents")
        display.update()
    lines = out.getvalue().splitlines()
    assert "0 of 3 cells finished, 0 at work." == lines[0]
    assert "tabular-relay mvd seed 1: begins" == lines[1]
    assert lines[2].startswith("[3/3] tabular-relay mvd seed 1: finished after ")
    assert "[3/3] tabular-relay qmix seed 1: failed (exit status 1: [bold]no room[/bold])" == lines[3]
    assert "[3/3] tabular-relay vdn seed 1: refused (two agents)" == lines[4] and 5 == len(lines)
    assert "\x1b" not in out.getvalue()


def test_how_far_all_is_comes_every_minute(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("benchmarks.leaderboard.display.time.monotonic", clock)
    out = io.StringIO()
    display = Display(Watch(cells), Console(file=out))
    for _ in range(130):
        clock.now += 1.0
        display.update()
    assert 2 == out.getvalue().count("0 of 3 cells finished")


def test_on_a_terminal_there_is_a_live_table(cells: list[Cell]) -> None:
    out = io.StringIO()
    with Display(Watch(cells), Console(file=out, force_terminal=True, width=120)) as display:
        put(cells[0], RUNNING)
        at_step(cells[0], 250)
        display.update()
        put(cells[0], FAILED, "no room")
    shown = out.getvalue()
    assert "25%" in shown and "250" in shown and "1,000" in shown and "here-1" in shown
    assert "failed after" in shown and "no room" in shown


@pytest.mark.parametrize("seconds, told", [
    (0, "0 s"), (59, "59 s"), (60, "1 min"), (3_540, "59 min"), (3_600, "1 h 00 min"), (11_100, "3 h 05 min"),
    (100_800, "1 d 4 h"),
])  # fmt: skip
def test_times_are_for_people(seconds: float, told: str) -> None:
    assert told == duration(seconds)


def test_a_bar_is_as_full_as_its_share() -> None:
    assert "░" * 12 + "   0%" == bar(0.0) and "█" * 6 + "░" * 6 + "  50%" == bar(0.5) and "█" * 12 + " 100%" == bar(1.0)
