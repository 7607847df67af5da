"""What a person sees while workers work: a live table, or plain lines where there is no terminal."""

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.leaderboard.cells import (
    FAILED,
    FINISHED,
    NOT_RUN,
    REFUSED,
    RUNNING,
    Book,
    Cell,
    last_step,
    read_book,
)

__all__ = ["Display", "Now", "Row", "Watch", "duration"]

WINDOW_S = 60.0  # that rates are measured over
PLAIN_S = 60.0  # between two plain lines that say how far all is
WORDS = {FINISHED: "finished", FAILED: "failed", REFUSED: "refused"}


@dataclass(frozen=True)
class Row:
    """A cell at work."""

    cell: Cell
    worker: str
    step: int
    rate: float | None  # environment steps a second; None before it is known


@dataclass(frozen=True)
class Now:
    """How a queue stands at one moment."""

    counts: dict[str, int]  # state -> cells
    rows: tuple[Row, ...]
    changed: tuple[tuple[Cell, Book], ...]  # since the look before
    rate: float | None  # of all cells at work together
    eta_s: float | None

    @property
    def total(self) -> int:
        """How many cells there are."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """How many have ended, well or not."""
        return sum(self.counts[state] for state in (FINISHED, FAILED, REFUSED))

    def sentence(self) -> str:
        """For a line or a title."""
        parts = [f"{self.counts[FINISHED]} of {self.total} cells finished", f"{len(self.rows)} at work"]
        parts += [f"{self.counts[state]} {state}" for state in (FAILED, REFUSED) if self.counts[state]]
        if self.rate is not None:
            parts.append(f"{self.rate:,.0f} steps/s")
        if self.eta_s is not None:
            parts.append(f"about {duration(self.eta_s)} left")
        return ", ".join(parts)


@dataclass
class _Seen:
    signature: tuple[int, int, int] | None = None
    book: Book | None = None
    run: Path | None = None
    steps: deque[tuple[float, int]] = field(default_factory=deque)  # (seconds, step)


class Watch:
    """Follows a queue by its files: whoever works on it, here or elsewhere."""

    def __init__(self, cells: Sequence[Cell], clock: Callable[[], float] = time.monotonic):
        self._cells = [(cell, _Seen()) for cell in cells]
        self._clock = clock

    def look(self) -> Now:
        """How it stands; files that did not change are not read again."""
        counts = dict.fromkeys((NOT_RUN, RUNNING, FINISHED, FAILED, REFUSED), 0)
        rows, changed, left = [], [], 0
        for cell, seen in self._cells:
            if self._read(cell, seen) and seen.book is not None:
                changed.append((cell, seen.book))
            state = seen.book.state if seen.book else NOT_RUN
            counts[state] += 1
            if state == RUNNING and seen.book is not None:
                row = self._follow(cell, seen, seen.book)
                rows.append(row)
                left += max(0, cell.task.t_max - row.step)
            elif state == NOT_RUN:
                left += cell.task.t_max
        rates = [row.rate for row in rows if row.rate is not None]
        rate = sum(rates) if rates else None
        return Now(counts, tuple(rows), tuple(changed), rate, left / rate if rate else None)

    def _read(self, cell: Cell, seen: _Seen) -> bool:
        try:
            stat = (cell.folder / "cell.json").stat()
            signature = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            signature = None
        if signature == seen.signature:
            return False
        seen.signature, seen.book = signature, read_book(cell.folder)
        seen.run = None
        seen.steps.clear()
        return True

    def _follow(self, cell: Cell, seen: _Seen, book: Book) -> Row:
        if seen.run is None:
            seen.run = cell.run()
        step = last_step(seen.run) if seen.run is not None else 0
        now, steps = self._clock(), seen.steps
        if steps and step < steps[-1][1]:  # it went back to its checkpoint
            steps.clear()
        if not steps or step != steps[-1][1]:  # a record grows in jumps: rates go from jump to jump
            steps.append((now, step))
        while len(steps) > 2 and now - steps[1][0] > WINDOW_S:
            steps.popleft()
        first, last = steps[0], steps[-1]
        rate = (last[1] - first[1]) / (last[0] - first[0]) if last[0] > first[0] and last[1] > first[1] else None
        return Row(cell, book.worker, step, rate)


class Display:
    """Shows what a `Watch` sees, on a terminal or line by line.

    Args:
        watch: what is shown.
        console: where; plain lines if it is no terminal.
    """

    def __init__(self, watch: Watch, console: Console | None = None):
        self._watch = watch
        self._console = console or Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._told_at = time.monotonic()
        self._began: dict[Path, float] = {}  # folder of a cell -> when we saw it begin

    def __enter__(self) -> "Display":
        if self._live is not None:
            self._live.start()
        first = self._watch.look()
        self.say(first.sentence() + ".")
        return self

    def __exit__(self, *_: object) -> None:
        self.update()
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """One line that stays."""
        self._console.print(line, markup=False, soft_wrap=True)

    def update(self) -> Now:
        """Look, and show what is new."""
        now = self._watch.look()
        for cell, book in now.changed:
            self._tell(cell, book, now)
        if self._live is not None:
            self._live.update(self._table(now), refresh=True)
        elif time.monotonic() - self._told_at >= PLAIN_S:
            self._told_at = time.monotonic()
            self.say(now.sentence() + ".")
        return now

    def _tell(self, cell: Cell, book: Book, now: Now) -> None:
        if book.state == RUNNING:
            self._began[cell.folder] = time.monotonic()
            verb = "begins" if book.attempts == 1 else f"goes on (attempt {book.attempts})"
            if self._live is None:
                self.say(f"{cell.name}: {verb}")
            return
        began = self._began.get(cell.folder)
        after = "" if began is None else f" after {duration(time.monotonic() - began)}"
        why = f" ({book.reason})" if book.reason else ""
        self.say(f"[{now.ended}/{now.total}] {cell.name}: {WORDS[book.state]}{after}{why}")

    def _table(self, now: Now) -> Table:
        table = Table(title=now.sentence(), title_justify="left", box=None, pad_edge=False)
        for name, justify in (("cell", "left"), ("", "left"), ("step", "right"), ("of", "right"), ("steps/s", "right")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        table.add_column("left", justify="right")
        table.add_column("worker")
        for row in now.rows:
            t_max = row.cell.task.t_max
            share = min(1.0, row.step / t_max)
            left = duration((t_max - row.step) / row.rate) if row.rate and row.step < t_max else "-"
            table.add_row(
                row.cell.name, bar(share), f"{row.step:,}", f"{t_max:,}",
                f"{row.rate:,.0f}" if row.rate else "-", left, row.worker,
            )  # fmt: skip
        return table


def bar(share: float, width: int = 12) -> str:
    """A share as blocks and per cent."""
    full = round(share * width)
    return "█" * full + "░" * (width - full) + f" {share:4.0%}"


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3 h 05 min, 2 d 4 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
