"""Pictures of a kitchen: pixels (`rgb_array`) and text (`ansi`), drawn from the true world.

Pixels are drawn at twice the size and halved. A cell is the unit: shapes are given in cells, rows first.
"""

from typing import Any, Callable, NamedTuple

import numpy as np

from async_envs.overcooked.constants import (
    CHOP,
    CHOPPED,
    COUNTER,
    DELIVER,
    DELIVERY_CODE,
    FIRST_AGENT,
    FIRST_PLATE,
    FLOOR,
    FOOD_NAMES,
    GO_TO_COUNTER,
    KNIFE_CODE,
    LETTUCE,
    N_FOODS,
    N_THINGS,
    NO_CELL,
    NOTHING,
    ONION,
    THING_CODES,
    TOMATO,
)
from async_envs.overcooked.dishes import DISHES, SALAD
from async_envs.overcooked.font import HEIGHT, write
from async_envs.overcooked.types import World

CELL = 64  # pixels of a cell in the finished picture
LINE = 22  # pixels of a line of text below it
MARGIN = 8  # pixels around the text
_FINE = 2  # pixels drawn for each that is kept, along each axis

Colour = tuple[int, int, int]

AGENT_COLOURS: tuple[Colour, ...] = ((38, 104, 196), (226, 110, 24), (138, 76, 178))
_WHITE, _INK, _PAPER = (255, 255, 255), (40, 40, 46), (250, 249, 245)
_FLOOR_COLOURS = ((238, 228, 206), (230, 219, 195))
_COUNTER_COLOUR, _COUNTER_EDGE = (158, 132, 104), (122, 100, 78)
_BOARD, _BLADE, _HANDLE = (222, 184, 130), (206, 212, 218), (70, 58, 50)
_DELIVERY, _ARROW = (104, 160, 108), (245, 250, 240)
_FOOD_COLOURS: dict[int, tuple[Colour, Colour]] = {
    TOMATO: ((216, 52, 40), (246, 148, 128)),
    LETTUCE: ((86, 170, 60), (184, 226, 140)),
    ONION: ((170, 96, 158), (240, 214, 234)),
}
_LEAF, _PLATE, _RIM, _PIP = (52, 122, 48), (250, 250, 252), (150, 158, 170), (250, 206, 60)


class Canvas(NamedTuple):
    """A picture being drawn."""

    pixels: np.ndarray  # [height, width, 3] uint8
    unit: int  # pixels of a cell

    def near(self, row: float, column: float, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The window around a point, and the rows and columns of its pixels from that point, in cells."""
        low_r, low_c = (max(0, int((x - radius) * self.unit)) for x in (row, column))
        high_r, high_c = (int((x + radius) * self.unit) + 1 for x in (row, column))
        window = self.pixels[low_r:high_r, low_c:high_c]
        rows = (np.arange(window.shape[0]) + low_r + 0.5) / self.unit - row
        columns = (np.arange(window.shape[1]) + low_c + 0.5) / self.unit - column
        return window, rows[:, None], columns[None, :]

    def box(self, top: float, left: float, height: float, width: float, colour: Colour) -> None:
        """A filled rectangle."""
        corners = [round(x * self.unit) for x in (top, top + height, left, left + width)]
        self.pixels[corners[0] : corners[1], corners[2] : corners[3]] = colour

    def disc(self, row: float, column: float, radius: float, colour: Colour, waves: float = 0.0) -> None:
        """A filled circle, with a wavy edge where `waves` is the height of the waves in radii."""
        window, rows, columns = self.near(row, column, radius * (1 + waves))
        edge = radius * (1 + waves * np.sin(9 * np.arctan2(rows, columns)))
        window[np.hypot(rows, columns) <= edge] = colour

    def ring(self, row: float, column: float, radius: float, width: float, colour: Colour) -> None:
        """A circle line inside the radius."""
        window, rows, columns = self.near(row, column, radius)
        distance = np.hypot(rows, columns)
        window[(distance <= radius) & (distance >= radius - width)] = colour

    def text(self, top: int, left: int, words: str, scale: int, colour: Colour) -> None:
        """Words at a pixel of this canvas."""
        dots = write(words, scale)
        window = self.pixels[top : top + dots.shape[0], left : left + dots.shape[1]]
        window[dots[: window.shape[0], : window.shape[1]]] = colour


# --- what is told in words ---


def describe_thing(world: World, b: int, thing: int) -> str:
    """A thing in words: "tomato, 2 of 3 cuts", "plate with chopped tomato and onion"."""
    if thing == NOTHING:
        return "nothing"
    if thing < N_FOODS:
        cuts = int(world.things.cuts[b, thing])
        state = ("", ", 1 of 3 cuts", ", 2 of 3 cuts", ", chopped")[cuts]
        return FOOD_NAMES[thing] + state
    foods = [name for food, name in enumerate(FOOD_NAMES) if world.things.plates[b, thing - FIRST_PLATE] >> food & 1]
    return f"plate {thing - FIRST_PLATE + 1}" + (f" with {' + '.join(foods)}" if foods else ", empty")


def describe_agent(world: World, names: tuple[str, ...], b: int, i: int) -> tuple[str, str]:
    """What an agent is doing, and what it holds. `names` are those of the family's own actions."""
    if world.out.t[b] == 0:
        doing = "starts"
    elif not world.rules.is_macro:
        doing = names[world.plans.macro[b, i]]
    else:
        macro = names[world.plans.macro[b, i]]
        doing = macro if world.plans.running[b, i] else f"{macro} ended"
    return doing, describe_thing(world, b, int(world.things.hands[b, i]))


def headlines(world: World, b: int) -> tuple[str, str]:
    """The dish; clock, reward of the last step, end."""
    end = "  delivered" if world.out.terminated[b] else "  time is up" if world.out.truncated[b] else ""
    clock = f"step {world.out.t[b]}/{world.rules.episode_limit}"
    reward = f"  reward {world.out.reward[b]:+.1f}" if world.out.t[b] else ""
    return DISHES[world.rules.task] + SALAD, clock + reward + end


# --- text ---


def draw_text(world: World, names: tuple[str, ...], b: int) -> str:
    """The kitchen in letters, with a legend."""
    kitchen = world.kitchen
    symbols = [text_cell(world, b, cell) for cell in range(len(kitchen.bare))]
    width = max(map(len, symbols)) + 1
    n_columns = int(kitchen.column.max()) + 1
    lines = ["  ".join(headlines(world, b))]
    for start in range(0, len(symbols), n_columns):
        lines.append("".join(symbol.ljust(width) for symbol in symbols[start : start + n_columns]).rstrip())
    for i in range(kitchen.counters.shape[0]):
        doing, holds = describe_agent(world, names, b, i)
        lines.append(f"agent {i + 1}: {doing}; holds {holds}")
    lines.append("T L O food with its cuts (T3 is chopped), P plate [foods], K knife, D delivery, # counter, . floor")
    return "\n".join(lines)


def text_cell(world: World, b: int, cell: int) -> str:
    """A cell in letters: "#", "T0", "K:T2", "1:P[TL]"."""
    kitchen, things = world.kitchen, world.things
    for i in range(kitchen.counters.shape[0]):
        if things.places[b, FIRST_AGENT + i] == cell:
            return join(str(i + 1), text_thing(world, b, int(things.hands[b, i])))
    code = int(kitchen.bare[cell])
    if code == KNIFE_CODE:
        return join("K", text_thing(world, b, int(things.boards[b, knife_number(world, cell)])))
    if code == DELIVERY_CODE:
        return join("D", text_thing(world, b, delivered(world, b)))
    return text_thing(world, b, lying(world, b, cell)) or ("." if code == FLOOR else "#")


def join(who: str, what: str) -> str:
    """ "1:T3", or "1" alone."""
    return f"{who}:{what}" if what else who


def text_thing(world: World, b: int, thing: int) -> str:
    """A thing in letters, "" for nothing."""
    if thing == NOTHING:
        return ""
    if thing < N_FOODS:
        return f"{'TLO'[thing]}{world.things.cuts[b, thing]}"
    foods = "".join(letter for k, letter in enumerate("TLO") if world.things.plates[b, thing - FIRST_PLATE] >> k & 1)
    return f"P[{foods}]" if foods else "P"


def knife_number(world: World, cell: int) -> int:
    """Number of the knife on the cell."""
    return 0 if world.kitchen.knives[0] == cell else 1


def lying(world: World, b: int, cell: int) -> int:
    """The thing that the true map shows on a counter, or NOTHING."""
    for thing in range(N_THINGS):
        if world.things.places[b, thing] == cell and world.things.cells[b, cell] == THING_CODES[thing]:
            return thing
    return NOTHING


def delivered(world: World, b: int) -> int:
    """The plate that was delivered, or NOTHING."""
    for plate in range(FIRST_PLATE, N_THINGS):
        if world.things.places[b, plate] == world.kitchen.delivery:
            return plate
    return NOTHING


# --- pixels ---


def draw_pixels(world: World, names: tuple[str, ...], b: int) -> np.ndarray:
    """[height, width, 3] uint8: the kitchen, below it two lines about the episode and one for each agent."""
    kitchen = world.kitchen
    n_agents = kitchen.counters.shape[0]
    rows, columns = int(kitchen.row.max()) + 1, int(kitchen.column.max()) + 1
    size = (rows * CELL * _FINE, columns * CELL * _FINE, 3)
    canvas = Canvas(np.zeros(size, np.uint8), CELL * _FINE)
    for cell in range(rows * columns):
        draw_cell(canvas, world, b, cell)
    for i in range(n_agents):
        draw_aim(canvas, world, b, i)
    for i in range(n_agents):
        draw_agent(canvas, world, b, i)
    fine = canvas.pixels.reshape(rows * CELL, _FINE, columns * CELL, _FINE, 3)
    kitchen_pixels = fine.mean((1, 3)).round().astype(np.uint8)

    words = Canvas(np.full((2 * MARGIN + LINE * (2 + n_agents), columns * CELL, 3), _PAPER, np.uint8), CELL)
    lines = [(line, _INK) for line in headlines(world, b)]
    for i in range(n_agents):
        doing, holds = describe_agent(world, names, b, i)
        lines.append((f"{i + 1} {doing}" + ("" if holds == "nothing" else f", holds {holds}"), AGENT_COLOURS[i]))
    for k, (line, colour) in enumerate(lines):
        scale = 2 if len(write(line, 2)[0]) <= columns * CELL - 2 * MARGIN else 1
        top = MARGIN + k * LINE + (LINE - HEIGHT * scale) // 2
        words.text(top, MARGIN, line, scale, colour)
    return np.concatenate([kitchen_pixels, words.pixels])


def draw_cell(canvas: Canvas, world: World, b: int, cell: int) -> None:
    """What does not move, and what lies on it."""
    kitchen = world.kitchen
    row, column = int(kitchen.row[cell]), int(kitchen.column[cell])
    code = int(kitchen.bare[cell])
    if code == FLOOR:
        canvas.box(row, column, 1, 1, _FLOOR_COLOURS[(row + column) % 2])
        thing = NOTHING
    else:
        canvas.box(row, column, 1, 1, _COUNTER_EDGE)
        canvas.box(row + 0.03, column + 0.03, 0.94, 0.94, _DELIVERY if code == DELIVERY_CODE else _COUNTER_COLOUR)
        thing = lying(world, b, cell) if code == COUNTER else NOTHING
    if code == KNIFE_CODE:
        canvas.box(row + 0.12, column + 0.12, 0.76, 0.76, _BOARD)
        canvas.box(row + 0.18, column + 0.72, 0.42, 0.09, _BLADE)
        canvas.box(row + 0.60, column + 0.72, 0.22, 0.09, _HANDLE)
        thing = int(world.things.boards[b, knife_number(world, cell)])
    if code == DELIVERY_CODE:
        for k in range(8):  # a triangle that points up, on a stem
            canvas.box(row + 0.2 + 0.04 * k, column + 0.5 - 0.035 * (k + 1), 0.04, 0.07 * (k + 1), _ARROW)
        canvas.box(row + 0.52, column + 0.42, 0.28, 0.16, _ARROW)
        thing = delivered(world, b)
    if thing != NOTHING:
        shift = -0.08 if code == KNIFE_CODE else 0.0
        draw_thing(canvas, world, b, thing, row + 0.5, column + 0.5 + shift, 0.3)


def draw_thing(canvas: Canvas, world: World, b: int, thing: int, row: float, column: float, radius: float) -> None:
    """A food (in four pieces when chopped, with a pip for each cut before) or a plate with its foods."""
    if thing < N_FOODS:
        draw_food(canvas, thing, int(world.things.cuts[b, thing]), row, column, radius)
        return
    canvas.disc(row, column, radius * 1.2, _RIM)
    canvas.disc(row, column, radius * 1.1, _PLATE)
    canvas.ring(row, column, radius * 0.82, radius * 0.07, _RIM)
    foods = [food for food in range(N_FOODS) if world.things.plates[b, thing - FIRST_PLATE] >> food & 1]
    for k, food in enumerate(foods):
        angle = 2 * np.pi * k / len(foods) - np.pi / 2
        away = 0.5 * radius if len(foods) > 1 else 0.0
        at = row + away * np.sin(angle), column + away * np.cos(angle)
        draw_food(canvas, food, CHOPPED, *at, radius * (0.46 if len(foods) > 1 else 0.6))


def draw_food(canvas: Canvas, food: int, cuts: int, row: float, column: float, radius: float) -> None:
    """One food; pips below it count the cuts of one that is not yet chopped."""
    dark, light = _FOOD_COLOURS[food]
    if cuts == CHOPPED:
        for down in (-0.5, 0.5):
            for right in (-0.5, 0.5):
                at = row + down * radius, column + right * radius
                canvas.disc(*at, radius * 0.47, dark, waves=0.12 if food == LETTUCE else 0.0)
                canvas.disc(*at, radius * 0.3, light)
        return
    canvas.disc(row, column, radius, dark, waves=0.1 if food == LETTUCE else 0.0)
    if food == TOMATO:
        canvas.disc(row - 0.4 * radius, column - 0.35 * radius, radius * 0.18, light)
        canvas.disc(row - 0.85 * radius, column, radius * 0.3, _LEAF)
    elif food == LETTUCE:
        canvas.disc(row, column, radius * 0.6, light, waves=0.12)
        canvas.disc(row, column, radius * 0.3, dark, waves=0.12)
    else:
        canvas.ring(row, column, radius * 0.75, radius * 0.12, light)
        canvas.ring(row, column, radius * 0.42, radius * 0.12, light)
        canvas.box(row - 1.25 * radius, column - 0.1 * radius, 0.4 * radius, 0.2 * radius, dark)
    for k in range(cuts):
        canvas.box(row + radius * 0.95, column + (k - 1) * 0.16 - 0.06, 0.12, 0.12, _INK)
        canvas.box(row + radius * 0.95 + 0.02, column + (k - 1) * 0.16 - 0.04, 0.08, 0.08, _PIP)


def aim(world: World, b: int, i: int) -> int:
    """The cell that a running macro goes for, as its agent believes; NO_CELL if there is none."""
    macro = int(world.plans.macro[b, i])
    if not world.plans.running[b, i] or macro == CHOP:
        return NO_CELL
    if 0 < macro <= N_THINGS:
        return int(world.memory.places[b, i, macro - 1])
    if macro == DELIVER:
        return int(world.kitchen.delivery)
    if macro < DELIVER:
        return int(world.kitchen.knives[macro - N_THINGS - 1])
    if macro == GO_TO_COUNTER:
        believed = set(world.memory.places[b, i, :N_THINGS].tolist())
        free = [int(cell) for cell in world.kitchen.counters[i] if cell not in believed]
        return free[0] if free else NO_CELL
    return NO_CELL


def draw_aim(canvas: Canvas, world: World, b: int, i: int) -> None:
    """Corners in the agent's colour around the cell that its macro goes for; each agent's a bit further in."""
    cell = aim(world, b, i)
    if cell == NO_CELL:
        return
    inset, length, width = 0.03 + 0.07 * i, 0.22, 0.06
    row, column = int(world.kitchen.row[cell]), int(world.kitchen.column[cell])
    near, far = inset, 1 - inset
    for top in (near, far - width):
        for left in (near, far - length):
            canvas.box(row + top, column + left, width, length, AGENT_COLOURS[i])
    for top in (near, far - length):
        for left in (near, far - width):
            canvas.box(row + top, column + left, length, width, AGENT_COLOURS[i])


def draw_agent(canvas: Canvas, world: World, b: int, i: int) -> None:
    """A numbered disc with a chef's hat; what the agent holds is drawn in front of it."""
    cell = world.things.places[b, FIRST_AGENT + i]
    row, column = int(world.kitchen.row[cell]) + 0.5, int(world.kitchen.column[cell]) + 0.5
    held = int(world.things.hands[b, i])
    if held != NOTHING:
        row, column = row - 0.1, column - 0.12
    canvas.disc(row, column, 0.33, _WHITE)
    canvas.disc(row, column, 0.3, AGENT_COLOURS[i])
    for right in (-0.13, 0.0, 0.13):
        canvas.disc(row - 0.27, column + right, 0.1, _WHITE)
    canvas.box(row - 0.27, column - 0.17, 0.1, 0.34, _WHITE)
    number = write(str(i + 1), 5)
    top, left = round((row + 0.06) * canvas.unit), round(column * canvas.unit)
    canvas.text(top - number.shape[0] // 2, left - number.shape[1] // 2, str(i + 1), 5, _WHITE)
    if held != NOTHING:
        row, column = row + 0.34, column + 0.36
        canvas.disc(row, column, 0.26, AGENT_COLOURS[i])
        canvas.disc(row, column, 0.23, _WHITE)
        draw_thing(canvas, world, b, held, row, column, 0.16)


MODES: dict[str, Callable[[World, tuple[str, ...], int], Any]] = {"rgb_array": draw_pixels, "ansi": draw_text}
