"""Pictures of a battle: pixels (`rgb_array`) and text (`ansi`), drawn from the true world; north is up."""

from typing import Any, Callable

import numpy as np

from async_envs.smac.constants import HEALER, MOVE, NOBODY, STEP_X, STEP_Y
from async_envs.smac.maps import Map
from async_envs.smac.types import World

CELL = 18  # pixels of a map unit in the finished picture
_FINE = 2  # pixels drawn for each that is kept, along each axis

Colour = tuple[int, int, int]

SIDE_COLOURS: tuple[Colour, Colour] = ((38, 104, 196), (200, 60, 48))
_GROUND, _CLIFF, _LINE = (232, 226, 210), (120, 112, 100), (218, 211, 192)
_HEALTH, _SHIELD, _EMPTY = (74, 160, 72), (92, 176, 222), (70, 66, 62)
_SHOT, _ROUTE, _INK = (250, 176, 40), (255, 255, 255), (34, 34, 40)
_LETTERS = {
    "stalker": "S", "zealot": "Z", "spine_crawler": "C", "marine": "M", "marauder": "A", "medivac": "V",
    "zergling": "L", "baneling": "B", "hydralisk": "H", "colossus": "X",
}  # fmt: skip


class Canvas:
    """A picture being drawn, in map units; (0, 0) is the south-west corner."""

    def __init__(self, height: int, width: int):
        self.unit = CELL * _FINE
        self.pixels = np.zeros((height * self.unit, width * self.unit, 3), np.uint8)
        self.rows = height - (np.arange(height * self.unit) + 0.5) / self.unit  # y of each row of pixels
        self.columns = (np.arange(width * self.unit) + 0.5) / self.unit

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle from its south-west corner."""
        rows = (self.rows >= y) & (self.rows < y + height)
        columns = (self.columns >= x) & (self.columns < x + width)
        self.pixels[np.ix_(rows, columns)] = colour

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled circle."""
        rows = np.flatnonzero(np.abs(self.rows - y) <= radius)
        columns = np.flatnonzero(np.abs(self.columns - x) <= radius)
        inside = np.hypot(self.rows[rows][:, None] - y, self.columns[columns][None, :] - x) <= radius
        window = self.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if inside.any() else None
        if window is not None:
            window[inside] = colour

    def line(self, x: float, y: float, to_x: float, to_y: float, width: float, colour: Colour) -> None:
        """A straight line, as a row of discs."""
        n_discs = max(2, int(np.hypot(to_x - x, to_y - y) / width * 2))
        for part in np.linspace(0.0, 1.0, n_discs):
            self.disc(x + (to_x - x) * part, y + (to_y - y) * part, width / 2, colour)

    def finish(self) -> np.ndarray:
        """The picture, averaged to its size."""
        height, width = self.pixels.shape[0] // _FINE, self.pixels.shape[1] // _FINE
        return self.pixels.reshape(height, _FINE, width, _FINE, 3).mean(axis=(1, 3)).astype(np.uint8)


def rgb_array(world: World, field: Map, b: int) -> np.ndarray:
    """[height, width, 3] uint8: ground, units in their sides' colours, shots, ongoing moves, health and shields."""
    height, width = world.ground.walkable.shape
    canvas = Canvas(height, width)
    for y in range(height):
        for x in range(width):
            colour = (_GROUND if (x + y) % 2 else _LINE) if world.ground.walkable[y, x] else _CLIFF
            canvas.box(x, y, 1, 1, colour)
    units = world.units
    living = [u for u in range(len(field.types)) if units.alive[b, u]]
    for u in living:
        _draw_shot(canvas, world, b, u)
    for u in living:
        _draw_unit(canvas, world, field, b, u)
    return canvas.finish()


def _draw_shot(canvas: Canvas, world: World, b: int, u: int) -> None:
    units = world.units
    target = int(units.target[b, u])
    is_busy = units.cooldown[b, u] > 0 or world.roster.weapon[u] == HEALER
    if target != NOBODY and units.alive[b, target] and is_busy:
        colour = _HEALTH if world.roster.weapon[u] == HEALER else _SHOT
        start = float(units.x[b, u]), float(units.y[b, u])
        canvas.line(*start, float(units.x[b, target]), float(units.y[b, target]), 0.12, colour)


def _draw_unit(canvas: Canvas, world: World, field: Map, b: int, u: int) -> None:
    """A disc, its bars, and a white line on a living agent that owes steps of a move."""
    units, roster = world.units, world.roster
    x, y, radius = float(units.x[b, u]), float(units.y[b, u]), float(roster.radius[u])
    is_enemy = u >= world.rules.n_agents
    canvas.disc(x, y, radius, _INK)
    canvas.disc(x, y, radius - 0.08, SIDE_COLOURS[is_enemy])
    _write(canvas, _LETTERS.get(field.types[u].name, "?"), x, y, radius * 0.9)
    if not is_enemy and world.clocks.left[b, u] > 0:
        direction = int(world.clocks.move[b, u]) - MOVE
        reach = radius + 0.35 * int(world.clocks.left[b, u])
        canvas.line(x, y, x + reach * STEP_X[direction], y + reach * STEP_Y[direction], 0.14, _ROUTE)
    top = y + radius + 0.08
    _bar(canvas, x, top, units.health[b, u] / roster.max_health[u], _HEALTH)
    if roster.max_shield[u] > 0:
        _bar(canvas, x, top + 0.16, units.shield[b, u] / roster.max_shield[u], _SHIELD)


def _bar(canvas: Canvas, x: float, y: float, part: float, colour: Colour) -> None:
    canvas.box(x - 0.5, y, 1.0, 0.13, _EMPTY)
    canvas.box(x - 0.5, y, max(0.0, float(part)), 0.13, colour)


_STROKES = {  # letters as lines on a 2 x 2 square: (x, y) to (x, y)
    "S": ((2, 2, 0, 2), (0, 2, 0, 1), (0, 1, 2, 1), (2, 1, 2, 0), (2, 0, 0, 0)),
    "Z": ((0, 2, 2, 2), (2, 2, 0, 0), (0, 0, 2, 0)),
    "C": ((2, 2, 0, 2), (0, 2, 0, 0), (0, 0, 2, 0)),
    "M": ((0, 0, 0, 2), (0, 2, 1, 1), (1, 1, 2, 2), (2, 2, 2, 0)),
    "A": ((0, 0, 1, 2), (1, 2, 2, 0), (0.5, 1, 1.5, 1)),
    "V": ((0, 2, 1, 0), (1, 0, 2, 2)),
    "L": ((0, 2, 0, 0), (0, 0, 2, 0)),
    "B": ((0, 0, 0, 2), (0, 2, 1.5, 2), (1.5, 2, 1.5, 1), (0, 1, 2, 1), (2, 1, 2, 0), (2, 0, 0, 0)),
    "H": ((0, 0, 0, 2), (2, 0, 2, 2), (0, 1, 2, 1)),
    "X": ((0, 0, 2, 2), (0, 2, 2, 0)),
}


def _write(canvas: Canvas, letter: str, x: float, y: float, size: float) -> None:
    for left, bottom, right, top in _STROKES.get(letter, ()):
        start = x + (left - 1) * size / 2, y + (bottom - 1) * size / 2
        canvas.line(*start, x + (right - 1) * size / 2, y + (top - 1) * size / 2, 0.1, _ROUTE)


def ansi(world: World, field: Map, b: int) -> str:
    """A text: the map with agents as capital letters and enemies as small ones, then a line for each unit."""
    height, width = world.ground.walkable.shape
    rows = [[".#"[1 - int(cell)] for cell in line] for line in world.ground.walkable]
    units, lines = world.units, []
    for u, unit in enumerate(field.types):
        is_enemy = u >= world.rules.n_agents
        name = f"enemy_{u - world.rules.n_agents}" if is_enemy else f"agent_{u}"
        if not units.alive[b, u]:
            lines.append(f"{name} {unit.name}: dead")
            continue
        x, y = float(units.x[b, u]), float(units.y[b, u])
        letter = _LETTERS.get(unit.name, "?")
        rows[min(int(y), height - 1)][min(int(x), width - 1)] = letter.lower() if is_enemy else letter
        line = f"{name} {unit.name}: health {units.health[b, u]:g}"
        line += f", shield {units.shield[b, u]:g}" if world.roster.max_shield[u] > 0 else ""
        line += f", energy {units.energy[b, u]:.1f}" if world.roster.weapon[u] == HEALER else ""
        left = 0 if is_enemy else int(world.clocks.left[b, u])
        lines.append(line + (f", moving ({left} left)" if left else ""))
    return "\n".join(["".join(row) for row in reversed(rows)] + [f"step {int(world.out.t[b])}"] + lines)


MODES: dict[str, Callable[[World, Map, int], Any]] = {"rgb_array": rgb_array, "ansi": ansi}
