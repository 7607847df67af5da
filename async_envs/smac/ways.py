"""The ways round walls: tables for maps on which a straight line may leave the ground."""

import functools
from math import hypot

import numpy as np


@functools.lru_cache(maxsize=8)
def ways(cells: bytes, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The way from each cell to each other, or two tables of one entry where every straight line is clear.

    Returns:
        next_cell: [C, C] int16, the neighbour to walk to on a shortest way (steps to 8 neighbours, corners are
            not cut); the cell itself where there is none.
        is_clear: [C, C] uint8, the straight line between the middles of two cells, widened by half a cell to
            both sides, is walkable.
    """
    walkable = np.frombuffer(cells, np.uint8).reshape(height, width).astype(bool)
    if is_convex(walkable):
        return np.zeros((1, 1), np.int16), np.ones((1, 1), np.uint8)
    return _next_cells(walkable), _clear_lines(walkable)


def is_convex(walkable: np.ndarray) -> bool:
    """Whether there is no pocket in which a straight way ends: every row is one run that touches the next, and
    both rims go outwards and then inwards, so that sliding along them leads everywhere.
    """
    rows = [np.flatnonzero(row) for row in walkable if row.any()]
    if any(len(row) != row[-1] - row[0] + 1 for row in rows):
        return False
    used = np.flatnonzero(walkable.any(axis=1))
    if len(used) != used[-1] - used[0] + 1:
        return False
    left, right = np.array([row[0] for row in rows]), np.array([row[-1] for row in rows])
    is_whole = (left[1:] <= right[:-1]).all() and (left[:-1] <= right[1:]).all()
    return bool(is_whole) and _bulges(-left) and _bulges(right)


def _bulges(rim: np.ndarray) -> bool:
    """Whether a rim rises and then falls."""
    steps = np.diff(rim)
    steps = steps[steps != 0]
    return bool((np.diff(np.sign(steps)) <= 0).all())


_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # (x, y); straight ones first


def _next_cells(walkable: np.ndarray) -> np.ndarray:
    """Breadth first from all goals at once; a goal is one bit of the last axis."""
    height, width = walkable.shape
    n_cells = height * width
    goals = np.packbits(np.eye(n_cells, dtype=bool).reshape(height, width, n_cells), axis=-1)
    reached = np.where(walkable[:, :, None], goals, 0).astype(np.uint8)
    through = np.zeros((len(_NEIGHBOURS), *reached.shape), np.uint8)  # goals that a cell reaches by each step
    padded = np.pad(walkable, 1)
    while True:
        before = np.pad(reached, ((1, 1), (1, 1), (0, 0)))
        known = reached.copy()
        for k, (dx, dy) in enumerate(_NEIGHBOURS):
            ys, xs = slice(1 + dy, 1 + dy + height), slice(1 + dx, 1 + dx + width)
            is_open = walkable & padded[ys, xs] & padded[ys, 1:-1] & padded[1:-1, xs]
            fresh = np.where(is_open[:, :, None], before[ys, xs] & ~reached, 0).astype(np.uint8)
            through[k] |= fresh
            reached |= fresh
        if np.array_equal(known, reached):
            break
    own = np.arange(n_cells)
    next_cell = np.tile(own[:, None], (1, n_cells))  # [from, to]
    for (dx, dy), bits in zip(_NEIGHBOURS, through):
        is_next = np.unpackbits(bits, axis=-1, count=n_cells).reshape(n_cells, n_cells).astype(bool)
        next_cell += is_next * (dy * width + dx)
    return next_cell.astype(np.int16)


def _clear_lines(walkable: np.ndarray) -> np.ndarray:
    """[C, C] uint8: for each offset, the cells that its line sweeps are looked up from all cells at once."""
    height, width = walkable.shape
    is_clear = np.zeros((height * width, height * width), np.uint8)
    rim = max(height, width) + 1
    padded = np.pad(walkable, rim)
    own = np.arange(height * width).reshape(height, width)
    for dy in range(height):
        for dx in range(-width + 1, width):
            swept = [
                padded[rim + y : rim + y + height, rim + x : rim + x + width] for x, y in _swept_cells(dx, dy)
            ]
            starts = own[np.logical_and.reduce(swept)]
            is_clear[starts, starts + dy * width + dx] = 1
            is_clear[starts + dy * width + dx, starts] = 1
    return is_clear


@functools.cache
def _swept_cells(dx: int, dy: int) -> tuple[tuple[int, int], ...]:
    """Cells, from the start's, under a line of 0.8 cells' width from the middle of a cell to another's."""
    between = max(hypot(dx, dy), 1.0)
    parts = np.linspace(0.0, 1.0, 4 * max(abs(dx), abs(dy)) + 1)
    sides = np.array([-0.4, 0.0, 0.4])[:, None]
    x = np.floor(0.5 + dx * parts - sides * dy / between).astype(int)
    y = np.floor(0.5 + dy * parts + sides * dx / between).astype(int)
    return tuple(sorted(set(zip(x.ravel().tolist(), y.ravel().tolist()))))
