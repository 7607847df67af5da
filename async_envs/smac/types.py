# mypy: disallow-untyped-defs=False
"""The arrays of a batch of battles. B episodes, U units (agents first, then enemies), N agents, E enemies.

Kernels read the packed arrays of `Battle` by the numbers of `fields.py`; `Units`, `Roster` and `Rules` name the
same entries, in the same order, for everybody else.
"""

from typing import NamedTuple

import numpy as np

from async_envs.core.compile import lean_kernel


class Units(NamedTuple):
    """What changes; every array has shape [B, U]. Up to `next_y` views of Battle.real, then of Battle.whole."""

    x: np.ndarray
    y: np.ndarray
    health: np.ndarray  # 0 = dead
    shield: np.ndarray
    energy: np.ndarray
    cooldown: np.ndarray  # loops until it may attack again; a remainder below 0 lasts one loop
    goal_x: np.ndarray  # of a WALK
    goal_y: np.ndarray
    pace: np.ndarray  # part of its speed that it may use
    velocity: np.ndarray  # of units that accelerate
    before: np.ndarray  # health and shield at the end of the last step
    aim_x: np.ndarray  # where a MOVING unit goes in this loop
    aim_y: np.ndarray
    next_x: np.ndarray  # where it will be, or how it is pushed
    next_y: np.ndarray
    alive: np.ndarray  # 0 or 1
    shield_wait: np.ndarray  # loops until its shield grows
    order: np.ndarray  # IDLE … TEND
    target: np.ndarray  # unit, or NOBODY
    swing_in: np.ndarray  # loops until its attack lands, or NOT_DUE
    swing_at: np.ndarray  # whom
    hit_in: np.ndarray  # loops until its second hit or missile lands, or NOT_DUE
    hit_at: np.ndarray
    hurt_by: np.ndarray  # the last unit that damaged it, or NOBODY
    hurt_ago: np.ndarray  # loops since
    arrived: np.ndarray  # 1: a hunter that has come to its point
    shots: np.ndarray  # attacks begun
    was_alive: np.ndarray  # at the end of the last step
    doing: np.ndarray  # STILL, ENGAGED or MOVING in this loop
    wish: np.ndarray  # target chosen in this loop


class Roster(NamedTuple):
    """What the units of the map are. Distances are map units, times game loops.

    Up to `start_y` [U] views of Battle.stats, then [U] of Battle.traits, from `reach` on [U, U] of Battle.pairs.
    """

    max_health: np.ndarray
    max_shield: np.ndarray
    armor: np.ndarray
    regeneration: np.ndarray  # health a loop
    period: np.ndarray
    flight: np.ndarray  # speed of its missile; 0 hits at once
    slop: np.ndarray
    speed: np.ndarray  # a loop
    acceleration: np.ndarray  # speed gained a loop; 0 is full speed at once
    radius: np.ndarray
    inner: np.ndarray
    cooldown_scale: np.ndarray
    start_x: np.ndarray
    start_y: np.ndarray
    weapon: np.ndarray  # of constants.WEAPON_NAMES
    hits: np.ndarray  # of one attack
    hit_gap: np.ndarray  # loops between them
    damage_point: np.ndarray  # loops until the first hit
    layer: np.ndarray  # of constants.LAYER_NAMES
    type_bit: np.ndarray  # place of the 1 in its type
    kind: np.ndarray  # equal for units of one name
    is_structure: np.ndarray
    is_healable: np.ndarray
    reach: np.ndarray  # centre distance at which unit u attacks (or heals) unit v
    scan: np.ndarray  # centre distance at which u notices v
    damage: np.ndarray  # of one hit, before armor
    can_hit: np.ndarray  # 1: on the other side and in a layer it reaches
    apart: np.ndarray  # centre distance kept; 0 where they pass through each other
    near: np.ndarray  # square of the centre distance below which they are pushed apart; 0 as above


class Rules(NamedTuple):
    """What the map and the options settle; up to `has_cooldown_jitter` in Battle.rules, then in Battle.scales."""

    n_agents: int
    n_enemies: int
    episode_limit: int
    type_bits: int
    has_attack_point: bool
    has_medivac_rule: bool
    ally_shield: bool
    enemy_shield: bool
    is_sparse: bool
    is_only_positive: bool
    shows_all_health: bool
    shows_own_health: bool
    shows_last_action: bool
    shows_pathing: bool
    shows_height: bool
    shows_time: bool
    state_is_obs: bool
    state_shows_last_action: bool
    state_shows_time: bool
    shows_clocks: bool
    is_scaled: bool
    is_cancelling: bool
    records_submitted: bool
    is_compatible: bool
    ends_at_limit: bool  # the limit terminates instead of truncating
    has_missiles: bool
    has_cooldown_jitter: bool
    attack_x: float
    attack_y: float
    sight: float
    death_value: float
    win: float
    defeat: float
    negative_scale: float
    reward_divisor: float
    duration_scale: float
    spawn_jitter: float


class Battle(NamedTuple):
    """Everything about the units, packed by type (see fields.py)."""

    real: np.ndarray  # [., B, U] float64
    whole: np.ndarray  # [., B, U] int32
    stats: np.ndarray  # [., U] float64
    traits: np.ndarray  # [., U] int32
    pairs: np.ndarray  # [., U, U] float64
    rules: np.ndarray  # [.] int64
    scales: np.ndarray  # [.] float64


class Ground(NamedTuple):
    """The map: H rows of W cells; a cell is int(y) * W + int(x). C is H * W, or 1 where nobody needs a path."""

    walkable: np.ndarray  # [H, W] uint8
    height: np.ndarray  # [H, W] float32
    next_cell: np.ndarray  # [C, C] int16, the cell to walk to on the way from one to another
    is_clear: np.ndarray  # [C, C] uint8, the straight line between two cells is walkable


class Clocks(NamedTuple):
    """The asynchronous layer (asynchrony.py)."""

    duration: np.ndarray  # [N] int32, steps of a move
    left: np.ndarray  # [B, N] int32, steps owed of the ongoing move; 0 = deciding
    move: np.ndarray  # [B, N] int32, SMAC action of the ongoing move, else NO_ACTION
    executed: np.ndarray  # [B, N] int32, SMAC action of the last step; NO_ACTION after reset
    shown: np.ndarray  # [B, N] int32, what the last-action features tell; NOBODY = nothing yet
    physical: np.ndarray  # [B, N, 6 + E] uint8, SMAC's own availability, busy or not


class Output(NamedTuple):
    """The simulator's public arrays, as the kernels fill them, and `is_news`. M is the number of metrics."""

    obs: np.ndarray  # [B, N, O] float32
    state: np.ndarray  # [B, S] float32
    avail_actions: np.ndarray  # [B, N, A] uint8
    reward: np.ndarray  # [B] float32
    terminated: np.ndarray  # [B] bool
    truncated: np.ndarray  # [B] bool
    t: np.ndarray  # [B] int32
    metrics: np.ndarray  # [M, B] float32, in the order of constants.METRIC_NAMES
    is_news: np.ndarray  # [B] bool, the episodes that the last reset or step moved


class World(NamedTuple):
    """All of it; `units`, `roster` and `rules` are names for what lies in `battle`."""

    units: Units
    roster: Roster
    rules: Rules
    battle: Battle
    ground: Ground
    clocks: Clocks
    out: Output
    streams: np.ndarray  # [2, B] uint64: a stream that advances, and the seed


_N_REAL, _N_STATS, _N_TRAITS = (
    Units._fields.index("alive"),
    Roster._fields.index("weapon"),
    Roster._fields.index("reach") - Roster._fields.index("weapon"),
)
_N_RULES = Rules._fields.index("attack_x")


def make_battle(batch_size: int, roster: dict[str, np.ndarray], rules: Rules) -> Battle:
    """The packed arrays of a batch. `roster` holds the fields of `Roster`."""
    n_units = len(roster["max_health"])
    named = [roster[name] for name in Roster._fields]
    return Battle(
        real=np.zeros((_N_REAL, batch_size, n_units), np.float64),
        whole=np.zeros((len(Units._fields) - _N_REAL, batch_size, n_units), np.int32),
        stats=np.array(named[:_N_STATS], np.float64),
        traits=np.array(named[_N_STATS : _N_STATS + _N_TRAITS], np.int32),
        pairs=np.array(named[_N_STATS + _N_TRAITS :], np.float64),
        rules=np.array(rules[:_N_RULES], np.int64),
        scales=np.array(rules[_N_RULES:], np.float64),
    )


def make_clocks(batch_size: int, durations: np.ndarray, n_actions: int) -> Clocks:
    """The asynchronous layer's arrays; `n_actions` is SMAC's."""
    shape = batch_size, len(durations)
    left, move, executed, shown = (np.zeros(shape, np.int32) for _ in range(4))
    return Clocks(durations, left, move, executed, shown, np.zeros((*shape, n_actions), np.uint8))


def name_units(battle: Battle) -> Units:
    """Views of what changes, by name."""
    return Units(*battle.real, *battle.whole)


def name_roster(battle: Battle) -> Roster:
    """Views of what the units are, by name."""
    return Roster(*battle.stats, *battle.traits, *battle.pairs)


def flatten(world: World) -> tuple:
    """The arrays of a world in a row, as `unflatten` takes them: numba reads single arguments faster."""
    groups = (world.battle, world.ground, world.clocks, world.out)
    return tuple(field for group in groups for field in group) + (world.streams,)


_GROUPS = (Battle, Ground, Clocks, Output)
_ENDS = tuple(sum(len(group._fields) for group in _GROUPS[: k + 1]) for k in range(len(_GROUPS)))
_BATTLE, _GROUND, _CLOCKS, _OUT = _ENDS


@lean_kernel
def unflatten(fields):
    """Battle, ground, clocks, output and streams of the world whose `flatten` is `fields`."""
    return (
        Battle(*fields[:_BATTLE]),
        Ground(*fields[_BATTLE:_GROUND]),
        Clocks(*fields[_GROUND:_CLOCKS]),
        Output(*fields[_CLOCKS:_OUT]),
        fields[_OUT],
    )
