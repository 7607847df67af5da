"""Running cells, one after another; what was killed goes on, what is finished is left alone."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Callable

from benchmarks.ablations.plan import (
    FINISHED,
    GOES_ON,
    NEW,
    REFUSED,
    UNDER_WAY,
    Cell,
    Plan,
    look,
)
from benchmarks.processes import ended_by, last_line, run_process

__all__ = ["FAILED", "execute"]

FAILED = "failed"
OUTPUT = "output.txt"  # of a cell's processes, in its folder
BUSY = (
    "{name}: another process is at it ({run}). Wait for it, or end it; then give the same command again."
)


def execute(plan: Plan, tell: Callable[[str], None]) -> Plan:
    """Run every cell that is new or goes on.

    Returns:
        the plan with the states that the cells have now; a cell that failed says why.

    Raises:
        ValueError: a cell is under way in another process; one line, nothing was started.
        KeyboardInterrupt: asked to stop; the cell at work was told and has ended.
    """
    for cell in plan.cells:
        if cell.state == UNDER_WAY:
            raise ValueError(BUSY.format(name=named(cell), run=cell.run))
    done = []
    for number, cell in enumerate(plan.cells, start=1):
        head = f"[{number}/{len(plan.cells)}] {named(cell)}"
        if cell.state in (FINISHED, REFUSED):
            tell(f"{head}: {cell.state} ({cell.told})")
            done.append(cell)
            continue
        tell(f"{head}: {'goes on from ' + cell.told if cell.state == GOES_ON else 'begins'}")
        began = time.monotonic()
        cell = run(cell)
        tell(f"{head}: {cell.state} ({cell.told}) after {time.monotonic() - began:,.0f} s")
        done.append(cell)
    return replace(plan, cells=tuple(done))


def named(cell: Cell) -> str:
    """For people."""
    return f"{cell.variant.label}, seed {cell.seed}"


def run(cell: Cell) -> Cell:
    """Start or resume one cell and wait for its end."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    output = cell.folder / OUTPUT
    before = output.stat().st_size if output.exists() else 0
    status = run_process(cell.command(), output)
    state, folder, told = look(cell.folder, cell.wanted)
    if status != 0 or state == NEW:
        return replace(cell, state=FAILED, run=folder, told=why(status, output, before))
    return replace(cell, state=state, run=folder, told=told)


def why(status: int, output: Path, before: int) -> str:
    """Why a process ended that should not have: its signal, or the last thing it said behind byte `before`."""
    if status < 0:
        return f"{ended_by(status)}; the same command goes on with it"
    return f"{ended_by(status)}: {last_line(output, before)}; see {output}"
