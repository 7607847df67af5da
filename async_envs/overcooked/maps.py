"""Kitchens: text layouts, what is wrong with them, and the tables that the kernels read.

    #  counter        1 2 3  start cells of the agents, floor underneath
    .  floor          T L O  tomato, lettuce, onion on a counter
    K  knife          P      plate on a counter
    D  delivery       lines that begin with ; are comments
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from async_envs.overcooked.constants import (
    AGENT,
    COUNTER,
    DELIVERY_CODE,
    FLOOR,
    KNIFE_CODE,
    LETTUCE_CODE,
    N_DIRECTIONS,
    NO_CELL,
    ONION_CODE,
    PLATE_CODE,
    STEPS,
    TOMATO_CODE,
)
from async_envs.overcooked.types import Kitchen

SMALLEST, LARGEST = 3, 15  # rows and columns; a cell's number fits in a byte
EVERYTHING = 0  # radius of sight that sees all

_COUNTER, _FLOOR = "#", "."
_STARTS = "123"
_ITEMS = {"T": "tomato", "L": "lettuce", "O": "onion", "P": "plate", "K": "knife", "D": "delivery"}
_HOW_MANY = {"T": 1, "L": 1, "O": 1, "P": 2, "K": 2, "D": 1}
_CODES = {
    "T": TOMATO_CODE, "L": LETTUCE_CODE, "O": ONION_CODE, "P": PLATE_CODE, "K": KNIFE_CODE, "D": DELIVERY_CODE,
    _COUNTER: COUNTER, _FLOOR: FLOOR,
}  # fmt: skip
_LEGEND = "# counter, . floor, 1 2 3 agents, T tomato, L lettuce, O onion, P plate, K knife, D delivery"

Cell = tuple[int, int]  # row, column


class Layout(NamedTuple):
    """A kitchen as drawn, checked."""

    lines: tuple[str, ...]  # one a row; start cells that nobody uses are floor
    n_agents: int

    def at(self, cell: Cell) -> str:
        """The symbol of a cell."""
        return self.lines[cell[0]][cell[1]]

    def cells(self, symbols: str) -> list[Cell]:
        """The cells with one of `symbols`, in reading order."""
        return [
            (row, column)
            for row, line in enumerate(self.lines)
            for column, symbol in enumerate(line)
            if symbol in symbols
        ]

    def beside(self, cell: Cell) -> list[Cell]:
        """The up to four cells that share a side with `cell`: right, below, left, above."""
        near = [(cell[0] + rows, cell[1] + columns) for rows, columns in STEPS]
        return [(r, c) for r, c in near if 0 <= r < len(self.lines) and 0 <= c < len(self.lines[0])]

    def region(self, start: Cell) -> set[Cell]:
        """The floor that can be walked to from `start`."""
        found, new = {start}, [start]
        while new:
            for cell in self.beside(new.pop()):
                if cell not in found and self.at(cell) in _FLOOR + _STARTS:
                    found.add(cell)
                    new.append(cell)
        return found

    def touching(self, cell: Cell, regions: list[set[Cell]]) -> set[int]:
        """Numbers of the regions from which `cell` can be reached."""
        return {k for k, region in enumerate(regions) if not region.isdisjoint(self.beside(cell))}


def map_path(name: str, size: int) -> Path:
    """The file of one of the maps A, B, C with 7 or 9 cells along a side."""
    return Path(__file__).with_name("maps") / f"{name}{size}.txt"


def read_lines(where: str, path: Path) -> list[str]:
    """The rows of a layout file.

    Raises:
        ValueError: it cannot be read; one line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(f"{where}: layout={str(path)!r} cannot be read ({reason}). Name a text file.") from error
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith(";")]


def check_layout(where: str, lines: list[str], n_agents: int, recipe: int) -> Layout:
    """A layout in which every item can be reached and the dish of `recipe` (foods as bits) be made.

    Args:
        where: what the error lines begin with.
        lines: one text a row.
        n_agents: the start cells beyond it are floor.

    Raises:
        ValueError: the first thing that is wrong; one line.
    """
    _check_shape(where, lines)
    layout = Layout(tuple(lines), n_agents)
    _check_counts(where, layout)
    unused = _STARTS[n_agents:]
    layout = Layout(tuple("".join(_FLOOR if s in unused else s for s in line) for line in lines), n_agents)
    _check_edges(where, layout)
    regions = _regions(layout)
    for cell in layout.cells("".join(_ITEMS)):
        if not layout.touching(cell, regions):
            raise ValueError(
                f"{where}: the {_ITEMS[layout.at(cell)]} at {_place(cell)} cannot be reached by any agent. "
                "Put floor beside it that joins a start cell."
            )
    _check_handing_over(where, layout, regions, recipe)
    return layout


def _check_shape(where: str, lines: list[str]) -> None:
    if not lines:
        raise ValueError(f"{where}: the layout is empty. Draw one line a row ({_LEGEND}).")
    for row, line in enumerate(lines):
        for column, symbol in enumerate(line):
            if symbol not in _CODES and symbol not in _STARTS:
                raise ValueError(f"{where}: {symbol!r} at {_place((row, column))} is no symbol. Known: {_LEGEND}.")
        if len(line) != len(lines[0]):
            raise ValueError(
                f"{where}: row {row} has {len(line)} cells and row 0 has {len(lines[0])}. Draw a rectangle."
            )
    rows, columns = len(lines), len(lines[0])
    if not (SMALLEST <= rows <= LARGEST and SMALLEST <= columns <= LARGEST):
        raise ValueError(
            f"{where}: the layout has {rows} rows and {columns} columns. Use {SMALLEST} to {LARGEST} of each."
        )


def _check_counts(where: str, layout: Layout) -> None:
    for symbol, name in _ITEMS.items():
        wanted, found = _HOW_MANY[symbol], len(layout.cells(symbol))
        if found != wanted:
            raise ValueError(f"{where}: {found} cells {symbol!r} ({name}), expected {wanted}. Draw {wanted}.")
    for agent, symbol in enumerate(_STARTS):
        found = len(layout.cells(symbol))
        if found > 1 or (found == 0 and agent < layout.n_agents):
            raise ValueError(
                f"{where}: {found} start cells {symbol!r}, expected 1 for each of {layout.n_agents} agents. "
                f"Draw {_STARTS[: layout.n_agents]!r} once each."
            )


def _check_edges(where: str, layout: Layout) -> None:
    for row, column in layout.cells(_FLOOR + _STARTS):
        if row in (0, len(layout.lines) - 1) or column in (0, len(layout.lines[0]) - 1):
            raise ValueError(
                f"{where}: the floor at {_place((row, column))} lies on the edge. Close the edge with counters."
            )


def _regions(layout: Layout) -> list[set[Cell]]:
    """The pieces of floor on which agents start."""
    regions: list[set[Cell]] = []
    for start in layout.cells(_STARTS):
        if not any(start in region for region in regions):
            regions.append(layout.region(start))
    return regions


def _check_handing_over(where: str, layout: Layout, regions: list[set[Cell]], recipe: int) -> None:
    """Whatever the dish needs must be able to come to the delivery, walking or over counters and knives."""
    delivery = layout.cells("D")[0]
    joined = layout.touching(delivery, regions)
    shared = [layout.touching(cell, regions) for cell in layout.cells(_COUNTER + "K")]
    for _ in regions:
        for touched in shared:
            if touched & joined:
                joined |= touched
    needed = [symbol for k, symbol in enumerate("TLO") if recipe >> k & 1] + ["P", "K"]
    for symbol in needed:
        cells = layout.cells(symbol)
        if not any(layout.touching(cell, regions) & joined for cell in cells):
            raise ValueError(
                f"{where}: nothing can be brought from the {_ITEMS[symbol]} at {_place(cells[0])} to the delivery "
                f"at {_place(delivery)}. Join the two by floor, or by a counter between agents."
            )


def _place(cell: Cell) -> str:
    return f"row {cell[0]}, column {cell[1]}"


def make_kitchen(layout: Layout, radius: int) -> Kitchen:
    """The tables of a layout for a radius of sight (0 sees everything)."""
    rows, columns = len(layout.lines), len(layout.lines[0])
    cells = [(row, column) for row in range(rows) for column in range(columns)]
    number = {cell: k for k, cell in enumerate(cells)}
    row_of, column_of = (np.array(part, np.int32) for part in zip(*cells))
    neighbours = np.full((len(cells), N_DIRECTIONS), NO_CELL, np.int32)
    for cell in cells:
        for direction, (down, right) in enumerate(STEPS):
            neighbours[number[cell], direction] = number.get((cell[0] + down, cell[1] + right), NO_CELL)
    starts = [layout.cells(symbol)[0] for symbol in _STARTS[: layout.n_agents]]
    homes = [layout.cells(symbol)[0] for symbol in "TLO"] + layout.cells("P") + starts
    distance = np.maximum(abs(row_of[:, None] - row_of), abs(column_of[:, None] - column_of))
    symbols = [layout.at(cell) for cell in cells]
    bare = np.array([_bare_code(symbol) for symbol in symbols], np.uint8)
    is_target = [code != FLOOR and any(bare[number[near]] == FLOOR for near in layout.beside(cell))
                 for cell, code in zip(cells, bare)]  # fmt: skip
    return Kitchen(
        bare=bare,
        start=np.array([AGENT if symbol in _STARTS else _CODES[symbol] for symbol in symbols], np.uint8),
        homes=np.array([number[cell] for cell in homes], np.int32),
        knives=np.array([number[cell] for cell in layout.cells("K")], np.int32),
        delivery=number[layout.cells("D")[0]],
        fixtures=np.array([number[cell] for cell in layout.cells("K") + layout.cells("D")], np.int32),
        neighbours=neighbours,
        row=row_of,
        column=column_of,
        floor_number=_count(bare == FLOOR),
        target_number=_count(np.array(is_target)),
        share=np.array([(row / rows, column / columns) for row, column in cells], np.float32),
        in_view=((distance <= radius) | (radius == EVERYTHING)).astype(np.uint8),
        counters=_counter_table(layout, number),
        side_step=np.array(_side_step(layout, number), np.int32),
    )


def _count(chosen: np.ndarray) -> np.ndarray:
    """[M] int32: the chosen cells counted from 0, NO_CELL elsewhere."""
    return np.where(chosen, chosen.cumsum() - 1, NO_CELL).astype(np.int32)


def _bare_code(symbol: str) -> int:
    if symbol in "KD":
        return _CODES[symbol]
    return FLOOR if symbol in _FLOOR + _STARTS else COUNTER


def middle_counters(layout: Layout, agent: int) -> list[Cell]:
    """The counters that `go-to-counter` tries for an agent, in this order.

    They are drawn as `#`, do not lie on the edge, and can be reached from the agent's floor. Nearest to the
    middle of the kitchen first, equals in reading order; on the maps B and C this is the original's order.
    """
    region = layout.region(layout.cells(_STARTS[agent])[0])
    last_row, last_column = len(layout.lines) - 1, len(layout.lines[0]) - 1
    middle = (len(layout.lines) // 2, len(layout.lines[0]) // 2)
    found = [
        (row, column)
        for row, column in layout.cells(_COUNTER)
        if 0 < row < last_row and 0 < column < last_column and layout.touching((row, column), [region])
    ]
    return sorted(found, key=lambda cell: (abs(cell[0] - middle[0]) + abs(cell[1] - middle[1]), cell))


def _counter_table(layout: Layout, number: dict[Cell, int]) -> np.ndarray:
    lists = [[number[cell] for cell in middle_counters(layout, i)] for i in range(layout.n_agents)]
    table = np.full((layout.n_agents, max(map(len, lists))), NO_CELL, np.int32)
    for i, cells in enumerate(lists):
        table[i, : len(cells)] = cells
    return table


def _side_step(layout: Layout, number: dict[Cell, int]) -> list[int]:
    """Front cells of knife 1, knife 2 and the delivery, and the direction away from them; else NO_CELL.

    The rule exists where these three stand side by side in this order and have floor on one side only, the
    same: there an agent in the middle bars the way of one that passes, so that one steps aside.
    """
    row = layout.cells("K") + layout.cells("D")
    (r0, c0), (r1, c1), (r2, c2) = row
    along = (r1 - r0, c1 - c0)
    if abs(along[0]) + abs(along[1]) != 1 or (r2 - r1, c2 - c1) != along:
        return [NO_CELL] * 4
    free = [
        direction
        for direction, step in enumerate(STEPS)
        if all(_is_floor(layout, (r + step[0], c + step[1])) for r, c in row)
    ]
    if len(free) != 1:
        return [NO_CELL] * 4
    step = STEPS[free[0]]
    return [number[r + step[0], c + step[1]] for r, c in row] + free


def _is_floor(layout: Layout, cell: Cell) -> bool:
    inside = 0 <= cell[0] < len(layout.lines) and 0 <= cell[1] < len(layout.lines[0])
    return inside and layout.at(cell) in _FLOOR + _STARTS
