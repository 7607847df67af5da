# mypy: disallow-untyped-defs=False
"""The arrays of a batch of Overcooked episodes.

B episodes, N agents, M cells (row * columns + column), E = 5 + N movable entities: tomato, lettuce, onion,
plate 1, plate 2, then the agents.
"""

from typing import NamedTuple

import numpy as np

from async_envs.core.compile import lean_kernel


class Kitchen(NamedTuple):
    """One layout as tables."""

    bare: np.ndarray  # [M] uint8, code of the cell with nothing on it: floor, counter, knife or delivery
    start: np.ndarray  # [M] uint8, true codes at reset
    homes: np.ndarray  # [E] int32, start cells
    knives: np.ndarray  # [2] int32, cells
    delivery: int  # cell
    fixtures: np.ndarray  # [3] int32, cells of the knives and the delivery
    neighbours: np.ndarray  # [M, 4] int32, cell to the right, below, to the left, above; NO_CELL outside
    row: np.ndarray  # [M] int32
    column: np.ndarray  # [M] int32
    floor_number: np.ndarray  # [M] int32, floor cells counted from 0, else NO_CELL
    target_number: np.ndarray  # [M] int32, other cells beside floor counted from 0, else NO_CELL
    share: np.ndarray  # [M, 2] float32, row / rows and column / columns
    in_view: np.ndarray  # [M, M] uint8, whether an agent on the first cell sees the second
    counters: np.ndarray  # [N, C] int32, middle counters in the order in which agent i tries them, then NO_CELL
    side_step: np.ndarray  # [4] int32: front cells of knife 1, knife 2, delivery; direction. NO_CELL if no rule


class Rules(NamedTuple):
    """What the options change."""

    task: int  # 0-6
    recipe: int  # foods as bits: 1 tomato, 2 lettuce, 4 onion
    reward_chop: float
    reward_delivery: float
    reward_wrong: float
    reward_step: float
    episode_limit: int  # steps
    is_macro: bool
    is_useful: bool  # masks leave out macros that end at once without effect
    first_move: int  # index of the macro "right"


class Things(NamedTuple):
    """The true world."""

    cells: np.ndarray  # [B, M] uint8, codes
    places: np.ndarray  # [B, E] int32, cell of each entity
    cuts: np.ndarray  # [B, 3] int32, 0-3 of each food
    hands: np.ndarray  # [B, N] int32, thing or NOTHING
    boards: np.ndarray  # [B, 2] int32, thing on each knife or NOTHING
    plates: np.ndarray  # [B, 2] int32, foods in each plate as bits


class Memory(NamedTuple):
    """What each agent remembers."""

    places: np.ndarray  # [B, N, E] int32
    cuts: np.ndarray  # [B, N, 3] int32, when the food was last seen
    unseen: np.ndarray  # [B, N, 3] int32, steps since then, up to FADED


class Plans(NamedTuple):
    """What each agent is doing."""

    macro: np.ndarray  # [B, N] int32, index of the macro (or primitive action) of the last step
    running: np.ndarray  # [B, N] uint8, 1 where the macro goes on
    strikes: np.ndarray  # [B, N] int32, strikes of a chop so far
    moves: np.ndarray  # [B, N] int32, primitive actions of the last step


class Search(NamedTuple):
    """The path search: scratch, and the answers it keeps."""

    heap: np.ndarray  # [M] int64
    marks: np.ndarray  # [M] int64, number of the search that marked the cell
    n_searches: np.ndarray  # [1] int64, searches so far
    answers: np.ndarray  # uint8, kept answers (path.py)


class Tally(NamedTuple):
    """Counts over the episode."""

    chops: np.ndarray  # [B] int32, rewarded
    wrong: np.ndarray  # [B] int32, wrong deliveries


class Output(NamedTuple):
    """The simulator's public arrays, as the kernels fill them. K is the number of metrics."""

    obs: np.ndarray  # [B, N, O] float32
    state: np.ndarray  # [B, S] float32
    avail_actions: np.ndarray  # [B, N, A] uint8
    reward: np.ndarray  # [B] float32
    terminated: np.ndarray  # [B] bool
    truncated: np.ndarray  # [B] bool
    t: np.ndarray  # [B] int32
    metrics: np.ndarray  # [K, B] float32, in the order of constants.METRIC_NAMES


class World(NamedTuple):
    """All of the above."""

    kitchen: Kitchen
    rules: Rules
    things: Things
    memory: Memory
    plans: Plans
    search: Search
    tally: Tally
    out: Output


def flatten(world: World) -> tuple:
    """The fields of a world in a row, as `unflatten` takes them.

    numba looks at every argument of a call, and at a NamedTuple three times longer than at its fields one by
    one; that decides the speed of a single episode.
    """
    return tuple(field for group in world for field in group)


_GROUPS = (Kitchen, Rules, Things, Memory, Plans, Search, Tally, Output)
_ENDS = tuple(sum(len(group._fields) for group in _GROUPS[: k + 1]) for k in range(len(_GROUPS)))
_KITCHEN, _RULES, _THINGS, _MEMORY, _PLANS, _SEARCH, _TALLY, _OUT = _ENDS


@lean_kernel
def unflatten(fields):
    """The world whose `flatten` is `fields`."""
    return World(
        Kitchen(*fields[:_KITCHEN]),
        Rules(*fields[_KITCHEN:_RULES]),
        Things(*fields[_RULES:_THINGS]),
        Memory(*fields[_THINGS:_MEMORY]),
        Plans(*fields[_MEMORY:_PLANS]),
        Search(*fields[_PLANS:_SEARCH]),
        Tally(*fields[_SEARCH:_TALLY]),
        Output(*fields[_TALLY:_OUT]),
    )
