"""Maps: the files, their check, where units start, and the ways round walls.

A map file is TOML: `episode_limit` (steps), `walkable` (a list of [x from, x to, y from, y to] cells, both ends
included), `ally_types` (order of the agents, and of their one-hot if there are several), and groups `[[ally]]` and
`[[enemy]]` with `unit`, `n` and `at = [x, y]`. Optional: `enemy_types` (one-hot of the enemies; in the order of
their groups if left out), `attack_point = [x, y]`, `medivac_rule`.
"""

import functools
import tomllib
from dataclasses import dataclass
from math import ceil, hypot, sqrt
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from async_envs.smac.constants import PROTOSS
from async_envs.smac.types import Ground
from async_envs.smac.units import UnitType, unit_type

WIDTH, HEIGHT = 32, 32  # cells
GAP = 0.05  # between the rims of neighbours at the start
LEVEL = 0.5  # height of walkable ground; cliffs are 0
FOLDER = Path(__file__).with_name("maps")

_NEEDED = ("episode_limit", "walkable", "ally_types", "ally", "enemy")
_OPTIONAL = ("enemy_types", "attack_point", "medivac_rule")


@dataclass(frozen=True)
class Map:
    """A map that has been checked. `types` and `starts` list the agents in order, then the enemies."""

    episode_limit: int
    n_agents: int
    types: tuple[UnitType, ...]
    starts: tuple[tuple[float, float], ...]
    ally_types: tuple[str, ...]  # one-hot; () where there is none
    enemy_types: tuple[str, ...]
    attack_point: tuple[float, float] | None
    has_medivac_rule: bool
    walkable: tuple[tuple[int, int, int, int], ...]

    @property
    def n_enemies(self) -> int:
        """Units on the other side."""
        return len(self.types) - self.n_agents

    def has_shields(self, side: slice) -> bool:
        """Whether the side's race has shields."""
        return any(unit.name in PROTOSS for unit in self.types[side])


def map_names() -> tuple[str, ...]:
    """The maps that come with the family, as their files are called."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def map_path(name: str) -> Path:
    """The file of one of the family's maps."""
    return FOLDER / f"{name}.toml"


def read_map(where: str, path: Path, profile: str) -> Map:
    """The map in a file, with a profile's units.

    Raises:
        ValueError: the file cannot be read or is no map; one line.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{where}: the map cannot be read ({reason}). Name a TOML file with a map.") from error
    return check_map(where, found, profile)


def check_map(where: str, found: dict[str, Any], profile: str) -> Map:
    """The map that a file describes.

    Raises:
        ValueError: a missing or surplus entry, a wrong value, an unknown unit, units that overlap or stand
            where they cannot; one line.
    """
    for name in _NEEDED:
        if name not in found:
            raise ValueError(f"{where}: {name!r} is missing. A map needs {', '.join(_NEEDED)}.")
    for name in found:
        if name not in _NEEDED + _OPTIONAL:
            known = ", ".join(_NEEDED + _OPTIONAL)
            raise ValueError(f"{where}: {name!r} is not an entry of a map. Use {known}.")
    limit = found["episode_limit"]
    if type(limit) is not int or limit < 1:
        raise ValueError(f"{where}: episode_limit={limit!r} is not accepted. Use a whole number of at least 1.")
    walkable = tuple(_check_cells(where, cells) for cells in _as_list(where, "walkable", found["walkable"]))
    point = found.get("attack_point")
    point = None if point is None else _check_point(where, "attack_point", point)

    sides = [_place_side(where, found, side, profile) for side in ("ally", "enemy")]
    ally_types = _check_types(where, "ally_types", found["ally_types"], sides[0])
    own_kinds = list(dict.fromkeys(unit.name for unit, _ in sides[1]))
    enemy_types = _check_types(where, "enemy_types", found.get("enemy_types", own_kinds), sides[1])
    n_bits = max(len(ally_types), len(enemy_types))
    order = {name: k for k, name in enumerate(ally_types)}
    sides[0].sort(key=lambda unit: (order[unit[0].name], *unit[1]))  # SMAC: by type, x, y
    everybody = sides[0] + sides[1]
    checked = Map(
        episode_limit=limit,
        n_agents=len(sides[0]),
        types=tuple(unit for unit, _ in everybody),
        starts=tuple(start for _, start in everybody),
        ally_types=_one_hot(ally_types, n_bits),
        enemy_types=_one_hot(enemy_types, n_bits),
        attack_point=point,
        has_medivac_rule=bool(found.get("medivac_rule", False)),
        walkable=walkable,
    )
    _check_starts(where, checked)
    return checked


def _as_list(where: str, name: str, value: Any) -> list:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{where}: {name}={value!r} is not accepted. Give a list that is not empty.")
    return value


def _check_cells(where: str, cells: Any) -> tuple[int, int, int, int]:
    is_four = isinstance(cells, list) and len(cells) == 4 and all(type(cell) is int for cell in cells)
    if not is_four or not (0 <= cells[0] <= cells[1] < WIDTH and 0 <= cells[2] <= cells[3] < HEIGHT):
        raise ValueError(
            f"{where}: walkable holds {cells!r}, expected [x from, x to, y from, y to] with cells from 0 to "
            f"{WIDTH - 1}."
        )
    return cells[0], cells[1], cells[2], cells[3]


def _check_point(where: str, name: str, point: Any) -> tuple[float, float]:
    is_two = isinstance(point, list) and len(point) == 2 and all(type(part) in (int, float) for part in point)
    if not is_two or not (0 <= point[0] <= WIDTH and 0 <= point[1] <= HEIGHT):
        raise ValueError(f"{where}: {name}={point!r} is no point of the map. Give [x, y], each from 0 to {WIDTH}.")
    return float(point[0]), float(point[1])


def _check_types(
    where: str, name: str, types: Any, side: list[tuple[UnitType, tuple[float, float]]]
) -> tuple[str, ...]:
    types = tuple(_as_list(where, name, types))
    missing = {unit.name for unit, _ in side} - set(types)
    if missing or len(set(types)) != len(types):
        raise ValueError(
            f"{where}: {name}={list(types)!r} does not fit the units. Name each of the side's units once "
            f"({', '.join(sorted({unit.name for unit, _ in side}))})."
        )
    return types


def _one_hot(types: tuple[str, ...], n_bits: int) -> tuple[str, ...]:
    """The names of a side's one-hot, as long as the other side's; () where both sides have one kind."""
    if n_bits == 1:
        return ()
    return types + tuple(f"unused_{k}" for k in range(len(types), n_bits))


def _place_side(
    where: str, found: dict[str, Any], side: str, profile: str
) -> list[tuple[UnitType, tuple[float, float]]]:
    """The units of a side in the order of their groups, each with its start."""
    points: dict[tuple[float, float], list[UnitType]] = {}
    listed: list[tuple[tuple[float, float], int]] = []  # (point, number at that point), in order
    for group in _as_list(where, side, found[side]):
        if not isinstance(group, dict) or set(group) != {"unit", "n", "at"}:
            raise ValueError(f"{where}: a group of {side!r} is {group!r}, expected unit, n and at.")
        if type(group["n"]) is not int or not 1 <= group["n"] <= 100:
            raise ValueError(f"{where}: n={group['n']!r} is not accepted. Use a whole number from 1 to 100.")
        unit = unit_type(where, group["unit"], profile)
        point = _check_point(where, "at", group["at"])
        for _ in range(group["n"]):
            listed.append((point, len(points.setdefault(point, []))))
            points[point].append(unit)
    starts = {point: grid(units, point, turned=side == "enemy") for point, units in points.items()}
    return [(points[point][k], starts[point][k]) for point, k in listed]


def grid(units: Sequence[UnitType], centre: tuple[float, float], turned: bool) -> list[tuple[float, float]]:
    """Where units start that are made at one point: a square grid filled row by row, to the east and then north.

    Neighbours in a row keep their radii and a gap, rows the largest radii of theirs; the enemy's grid is turned
    by 180 degrees. Source: SMAClite's layout, as no public source tells the game's own.
    """
    side = ceil(sqrt(len(units)))
    rows = [units[k : k + side] for k in range(0, len(units), side)]
    places: list[tuple[float, float]] = []
    y = 0.0
    for k, row in enumerate(rows):
        if k > 0:
            y += max(unit.radius for unit in rows[k - 1]) + max(unit.radius for unit in row) + GAP
        x = 0.0
        for j, unit in enumerate(row):
            if j > 0:
                x += row[j - 1].radius + unit.radius + GAP
            places.append((x, y))
    middle_x = (min(x for x, _ in places) + max(x for x, _ in places)) / 2
    middle_y = (min(y for _, y in places) + max(y for _, y in places)) / 2
    sign = -1.0 if turned else 1.0
    return [(centre[0] + sign * (x - middle_x), centre[1] + sign * (y - middle_y)) for x, y in places]


def _check_starts(where: str, checked: Map) -> None:
    walkable = walkable_cells(checked)
    everybody = list(zip(checked.types, checked.starts))
    for u, (unit, (x, y)) in enumerate(everybody):
        is_inside = 0 <= x < WIDTH and 0 <= y < HEIGHT
        if not is_inside or (unit.layer == "ground" and not walkable[int(y), int(x)]):
            raise ValueError(
                f"{where}: a {unit.name} starts at ({x:.2f}, {y:.2f}), which is not walkable. Move its group."
            )
        for other, (other_x, other_y) in everybody[:u]:
            apart = unit.separation + other.separation
            if unit.keeps_apart(other) and hypot(x - other_x, y - other_y) < apart - 1e-9:
                raise ValueError(
                    f"{where}: a {other.name} at ({other_x:.2f}, {other_y:.2f}) and a {unit.name} at "
                    f"({x:.2f}, {y:.2f}) overlap, {apart:g} between them is needed. Move one of their groups."
                )


def walkable_cells(checked: Map) -> np.ndarray:
    """[HEIGHT, WIDTH] uint8, row y and column x."""
    walkable = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x_from, x_to, y_from, y_to in checked.walkable:
        walkable[y_from : y_to + 1, x_from : x_to + 1] = 1
    return walkable


def make_ground(checked: Map) -> Ground:
    """The tables of a map's ground."""
    walkable = walkable_cells(checked)
    next_cell, is_clear = ways(walkable.tobytes(), *walkable.shape)
    return Ground(walkable, (walkable * LEVEL).astype(np.float32), next_cell, is_clear)


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
    """Whether no walkable cell hides another: every row and column is one run, and the runs bulge outwards."""
    rows = [np.flatnonzero(row) for row in walkable if row.any()]
    if any(len(row) != row[-1] - row[0] + 1 for row in rows):
        return False
    used = np.flatnonzero(walkable.any(axis=1))
    if len(used) != used[-1] - used[0] + 1:
        return False
    left, right = np.array([row[0] for row in rows]), np.array([row[-1] for row in rows])
    return _bulges(-left) and _bulges(right)


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
