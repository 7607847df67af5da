"""Hexagonal maps: geometry, the map files, and the tables that the kernels read.

Offset coordinates "odd-r": pointy hexagons, odd rows shoved right by half a cell and one cell shorter, so
(odd row, columns - 1) lies outside. A cell is also called by its number, row * columns + column.
"""

from pathlib import Path

import numpy as np

from async_envs.poac.constants import BLUE, DIRECTION_NAMES, N_AGENTS, N_DIRECTIONS, OFF_MAP, RED, Scenario
from async_envs.poac.types import Board

# (row, column) steps of E, NE, NW, W, SW, SE from an even row and from an odd one.
_STEPS = (
    ((0, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0)),
    ((0, 1), (-1, 1), (-1, 0), (0, -1), (1, 0), (1, 1)),
)
_OPEN, _HIDDEN = ".", "#"

NEIGHBOUR_FEATURES = tuple(
    f"{feature}_{name}" for name in DIRECTION_NAMES for feature in ("inside_map", "hidden")
)


def is_inside(rows: int, columns: int, row: int, column: int) -> bool:
    """Whether (row, column) is a cell of the map."""
    return 0 <= row < rows and 0 <= column < columns - row % 2


def neighbour(row: int, column: int, direction: int) -> tuple[int, int]:
    """The (row, column) next to a cell in direction 0-5: E, NE, NW, W, SW, SE; perhaps outside the map."""
    row_step, column_step = _STEPS[row % 2][direction]
    return row + row_step, column + column_step


def axial(row: int, column: int) -> tuple[int, int]:
    """Axial coordinates (q, r) of a cell: q grows to the east, r to the south-east."""
    return column - row // 2, row


def distance(a: tuple[int, int], b: tuple[int, int]) -> int:
    """Cells between two (row, column): the cube distance."""
    (a_q, a_r), (b_q, b_r) = axial(*a), axial(*b)
    q, r = a_q - b_q, a_r - b_r
    return max(abs(q), abs(r), abs(q + r))


def rotate(rows: int, columns: int, row: int, column: int) -> tuple[int, int]:
    """The image of a cell under the rotation of the map by 180 degrees (`rows` is odd)."""
    return rows - 1 - row, columns - 1 - row % 2 - column


def centre_cells(rows: int, columns: int) -> list[tuple[int, int]]:
    """The cell that is its own image under the rotation, or the two in the middle row that are each
    other's.
    """
    middle = rows // 2
    last = columns - 1 - middle % 2
    return sorted({(middle, last // 2), (middle, last - last // 2)})


def start_cells(scenario: Scenario, side: int, shift: int) -> list[tuple[int, int]]:
    """Where infantry, chariot and tank of a side start when its rows are shifted by `shift`.

    Blue starts at the images of Red's cells under the rotation; a shift moves both sides by the same rule
    seen from their own end of the map.
    """
    cells = [(scenario.rows // 2 + row + shift, scenario.start_column) for row in scenario.start_rows]
    if side == RED:
        return cells
    return [rotate(scenario.rows, scenario.columns, *cell) for cell in cells]


def map_path(name: str) -> Path:
    """The file of a scenario's map."""
    return Path(__file__).with_name("maps") / f"poac-{name}.txt"


def read_hidden(path: Path, rows: int, columns: int) -> np.ndarray:
    """[rows, columns] bool: hidden terrain as drawn in a map file.

    A map file holds comment lines that begin with a semicolon, then one line per row: `#` for hidden terrain
    and `.` for open ground, separated by blanks; odd rows are indented by one blank.

    Raises:
        ValueError: a row or a cell is missing or not known; one line.
    """
    lines = [
        line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(";")
    ]
    if len(lines) != rows:
        raise ValueError(f"{path.name}: {len(lines)} rows, expected {rows}. Draw one line per row.")
    hidden = np.zeros((rows, columns), np.bool_)
    for row, symbols in enumerate(lines):
        if len(symbols) != columns - row % 2 or not set(symbols) <= {_OPEN, _HIDDEN}:
            raise ValueError(
                f"{path.name}: row {row} is {' '.join(symbols)!r}, expected {columns - row % 2} cells, each "
                f"{_OPEN!r} or {_HIDDEN!r}. Odd rows are one cell shorter."
            )
        hidden[row, : len(symbols)] = [symbol == _HIDDEN for symbol in symbols]
    return hidden


def draw_hidden(hidden: np.ndarray) -> str:
    """The rows of a map file, the inverse of `read_hidden`."""
    rows, columns = hidden.shape
    lines = []
    for row in range(rows):
        symbols = (_HIDDEN if hidden[row, column] else _OPEN for column in range(columns - row % 2))
        lines.append(" " * (row % 2) + " ".join(symbols))
    return "\n".join(lines) + "\n"


def make_board(scenario: Scenario, hidden: np.ndarray) -> Board:
    """The tables of a map.

    Args:
        scenario: sizes and starts.
        hidden: [rows, columns] bool.
    """
    rows, columns = scenario.rows, scenario.columns
    cells = [(row, column) for row in range(rows) for column in range(columns)]
    neighbours = np.full((len(cells), N_DIRECTIONS), OFF_MAP, np.int32)
    features = np.zeros((len(cells), 3 + 2 * N_DIRECTIONS), np.float32)
    for number, (row, column) in enumerate(cells):
        if not is_inside(rows, columns, row, column):
            continue
        features[number, :3] = row / (rows - 1), column / (columns - 1), hidden[row, column]
        for direction in range(N_DIRECTIONS):
            there = neighbour(row, column, direction)
            if is_inside(rows, columns, *there):
                neighbours[number, direction] = there[0] * columns + there[1]
                features[number, 3 + 2 * direction] = 1.0
                features[number, 4 + 2 * direction] = hidden[there]
    centres = centre_cells(rows, columns)
    starts = np.zeros((2, len(scenario.start_shifts), N_AGENTS), np.int32)
    for side in (RED, BLUE):
        for k, shift in enumerate(scenario.start_shifts):
            starts[side, k] = [row * columns + column for row, column in start_cells(scenario, side, shift)]
    return Board(
        axial_q=np.array([axial(*cell)[0] for cell in cells], np.int32),
        axial_r=np.array([axial(*cell)[1] for cell in cells], np.int32),
        neighbours=neighbours,
        hidden=hidden.astype(np.uint8).ravel(),
        features=features,
        centre_distance=np.array([min(distance(cell, c) for c in centres) for cell in cells], np.int32),
        centre_cells=np.array([row * columns + column for row, column in centres], np.int32),
        hidden_cells=np.flatnonzero(hidden.ravel()).astype(np.int32),
        starts=starts,
    )
