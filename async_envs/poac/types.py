# mypy: disallow-untyped-defs=False
"""The arrays of a batch of POAC episodes. B episodes, 6 units (0-2 Red, 3-5 Blue), 3 enemies of each unit."""

from typing import NamedTuple

import numpy as np

from async_envs.core.compile import lean_kernel


class Board(NamedTuple):
    """One map as tables; a cell is row * columns + column. M cells, of which some may lie outside the map."""

    axial_q: np.ndarray  # [M] int32
    axial_r: np.ndarray  # [M] int32, the row
    neighbours: np.ndarray  # [M, 6] int32, cell in each direction or OFF_MAP
    hidden: np.ndarray  # [M] uint8, 1 in hidden terrain
    features: np.ndarray  # [M, 15] float32: row, column, hidden; inside and hidden of each neighbour
    centre_distance: np.ndarray  # [M] int32, cells to the nearest centre cell
    centre_cells: np.ndarray  # [1 or 2] int32; two where no cell is its own image under the rotation
    hidden_cells: np.ndarray  # [H] int32, in reading order
    starts: np.ndarray  # [2, 3 shifts, 3] int32, start cells of each side's units for each shift of its rows


class Rules(NamedTuple):
    """What the options change; everything else is in constants.py."""

    duration: np.ndarray  # [6] int32, steps a move takes
    guided_distance: np.ndarray  # [6] int32, -1 where the unit can fire no guided shot
    bot: int  # KAI0, KAI1 or KAI2
    patience: int  # steps; 0 = never
    episode_limit: int  # steps
    random_start: bool


class Units(NamedTuple):
    """Every array has shape [B, 6]."""

    blood: np.ndarray  # int32, tenths; 0 = dead
    cell: np.ndarray  # int32
    cooldown: np.ndarray  # int32, steps until it may shoot again
    preparation: np.ndarray  # int32, steps until it is ready to shoot after a move
    busy: np.ndarray  # int32, steps left of the ongoing move; 0 = deciding
    direction: np.ndarray  # int32, of the ongoing move, else NO_DIRECTION
    wound: np.ndarray  # int32, tenths; damage of the last step's hits, not clipped


class Sight(NamedTuple):
    """What follows from where the units stand; every array has shape [B, 6, 3]: unit, its enemy."""

    distance: np.ndarray  # int32, cells; FAR if one of the two is dead
    sees: np.ndarray  # uint8
    reach: np.ndarray  # uint8, OUT_OF_REACH, IN_REACH or IN_GUIDED_REACH, timers apart


class Memory(NamedTuple):
    """What the bots remember."""

    post: np.ndarray  # [B, 6] int32, cell that the unit holds
    alarm: np.ndarray  # [B, 6] int32, situations without sight since it was hit by somebody unseen; 0 = calm
    waypoint: np.ndarray  # [B, 6] int32, where a KAI0 unit goes: TO_CENTRE, TO_START or BACK_TO_CENTRE
    blind: np.ndarray  # [B, 2] int32, situations in a row in which the side saw nobody; -1 at the start
    start: np.ndarray  # [B, 2] int32, start cell of the side's chariot


class Tally(NamedTuple):
    """Counts over the episode; every array has shape [B, 2]: side."""

    lost: np.ndarray  # int32, tenths of blood
    shots: np.ndarray  # int32, shots fired, guided ones included
    guided_shots: np.ndarray  # int32


class Output(NamedTuple):
    """The simulator's public arrays, as the kernels fill them. M is the number of metrics."""

    obs: np.ndarray  # [B, 3, O] float32
    state: np.ndarray  # [B, S] float32
    avail_actions: np.ndarray  # [B, 3, A] uint8
    reward: np.ndarray  # [B] float32
    terminated: np.ndarray  # [B] bool
    truncated: np.ndarray  # [B] bool
    t: np.ndarray  # [B] int32
    metrics: np.ndarray  # [M, B] float32, in the order of constants.METRIC_NAMES


class World(NamedTuple):
    """All of the above."""

    board: Board
    rules: Rules
    units: Units
    sight: Sight
    memory: Memory
    tally: Tally
    out: Output
    streams: np.ndarray  # [B] uint64, random stream of each episode
    orders: np.ndarray  # [B, 6] int64, what every unit does in this step


def flatten(world: World) -> tuple:
    """The fields of a world in a row, as `unflatten` takes them.

    numba looks at every argument of a call, and at a NamedTuple three times longer than at its fields one by
    one; with some forty of them that decides the speed of a single episode (5 µs against 2).
    """
    return tuple(field for group in world[:_N_GROUPS] for field in group) + tuple(world[_N_GROUPS:])


_GROUPS = (Board, Rules, Units, Sight, Memory, Tally, Output)
_N_GROUPS = len(_GROUPS)
_ENDS = tuple(sum(len(group._fields) for group in _GROUPS[: k + 1]) for k in range(_N_GROUPS))
_BOARD, _RULES, _UNITS, _SIGHT, _MEMORY, _TALLY, _OUT = _ENDS


@lean_kernel
def unflatten(fields):
    """The world whose `flatten` is `fields`."""
    streams, orders = fields[_OUT:]
    return World(
        Board(*fields[:_BOARD]),
        Rules(*fields[_BOARD:_RULES]),
        Units(*fields[_RULES:_UNITS]),
        Sight(*fields[_UNITS:_SIGHT]),
        Memory(*fields[_SIGHT:_MEMORY]),
        Tally(*fields[_MEMORY:_TALLY]),
        Output(*fields[_TALLY:_OUT]),
        streams,
        orders,
    )
