"""Maps: the files, their check, where units start, and the ways round walls.

A map file is TOML: `episode_limit` (steps), `walkable` (a list of [x from, x to, y from, y to] cells, both ends
included), `ally_types` (order of the agents, and of their one-hot if there are several), and groups `[[ally]]` and
`[[enemy]]` with `unit`, `n` and `at = [x, y]`. Optional: `enemy_types` (one-hot of the enemies; in the order of
their groups if left out), `attack_point = [x, y]`, `medivac_rule`.
"""

import tomllib
from dataclasses import dataclass
from math import ceil, hypot, sqrt
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from async_envs.smac.constants import PROTOSS
from async_envs.smac.types import Ground
from async_envs.smac.units import UnitType, unit_type
from async_envs.smac.ways import ways

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

    @property
    def agent_names(self) -> tuple[str, ...]:
        """The type of each agent, in SMAC's order."""
        return tuple(unit.name for unit in self.types[: self.n_agents])

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
