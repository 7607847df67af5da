# mypy: disallow-untyped-defs=False
"""What an agent observes and what the full state tells, feature by feature in the order of the published
names.
"""

import numpy as np

from async_envs.poac.constants import (
    COOLDOWN,
    DIRECTION_NAMES,
    IN_GUIDED_REACH,
    IN_REACH,
    MAX_BLOOD,
    N_AGENTS,
    N_ENEMIES,
    N_TYPES,
    N_UNITS,
    OBSERVED_DISTANCE,
    PREPARATION,
    TYPE_NAMES,
    UNIT_NAMES,
)
from async_envs.core.compile import lean_kernel
from async_envs.poac.maps import NEIGHBOUR_FEATURES
from async_envs.poac.sight import cells_between

_TYPES = tuple(f"is_{name}" for name in TYPE_NAMES)
_BODY = ("blood", "row", "column", "in_hidden_terrain", "cooldown", "preparation", "steps_left") + tuple(
    f"moving_{name}" for name in DIRECTION_NAMES
)
_OWN = _TYPES + _BODY + NEIGHBOUR_FEATURES + ("time",)
_OTHER = (
    ("seen", "offset_q", "offset_r", "distance")
    + _TYPES
    + ("blood", "in_hidden_terrain", "moving", "can_be_attacked", "can_be_attacked_by_guidance")
)
_OTHERS = tuple(f"ally_{k}" for k in range(N_AGENTS - 1)) + tuple(f"enemy_{k}" for k in range(N_ENEMIES))

OBS_NAMES = tuple(f"own.{name}" for name in _OWN) + tuple(
    f"{who}.{name}" for who in _OTHERS for name in _OTHER
)
STATE_NAMES = tuple(f"{unit}.{name}" for unit in UNIT_NAMES for name in ("alive",) + _TYPES + _BODY) + (
    "time",
)

OBS_DIM = len(OBS_NAMES)
STATE_DIM = len(STATE_NAMES)
_N_BODY = len(_BODY)
_N_NEIGHBOURS = len(NEIGHBOUR_FEATURES)
_NEIGHBOURS_AT = N_TYPES + _N_BODY  # in an observation
_TIME_AT = _NEIGHBOURS_AT + _N_NEIGHBOURS
_OTHERS_AT = _TIME_AT + 1
_N_OTHER = len(_OTHER)
_N_UNIT = 1 + N_TYPES + _N_BODY  # of one unit in the state
# Timers are shown as parts of what they are set to; where that is 0 they are always 0, and 1 keeps the
# division whole.
_COOLDOWN_SCALE = np.maximum(COOLDOWN, 1)
_PREPARATION_SCALE = np.maximum(PREPARATION, 1)


@lean_kernel
def observe_agent(board, rules, units, sight, t, obs, b, i):
    """What agent `i` sees with its own eyes; all zero when it is dead. Writes: obs[b, i]."""
    row = obs[b, i]
    for k in range(OBS_DIM):
        row[k] = 0.0
    if units.blood[b, i] == 0:
        return
    row[i] = 1.0
    describe_body(board, rules, units, row, N_TYPES, b, i)
    cell = units.cell[b, i]
    for k in range(_N_NEIGHBOURS):
        row[_NEIGHBOURS_AT + k] = board.features[cell, 3 + k]
    row[_TIME_AT] = np.float32(t[b]) / np.float32(rules.episode_limit)

    at = _OTHERS_AT
    for ally in range(N_AGENTS):
        if ally == i:
            continue
        if units.blood[b, ally] > 0:
            cells = cells_between(board, cell, units.cell[b, ally])
            if cells <= OBSERVED_DISTANCE[i]:
                describe_other(board, units, row, at, cells, b, i, ally)
                row[at + 9] = units.busy[b, ally] > 0
        at += _N_OTHER
    can_shoot = units.busy[b, i] == 0 and units.cooldown[b, i] == 0 and units.preparation[b, i] == 0
    for enemy in range(N_ENEMIES):
        if sight.sees[b, i, enemy]:
            describe_other(board, units, row, at, sight.distance[b, i, enemy], b, i, N_AGENTS + enemy)
        if can_shoot:
            row[at + 10] = sight.reach[b, i, enemy] == IN_REACH
            row[at + 11] = sight.reach[b, i, enemy] == IN_GUIDED_REACH
        at += _N_OTHER


@lean_kernel
def describe_body(board, rules, units, row, at, b, u):
    """A unit as it knows itself: blood, place, timers, ongoing move. Writes: row[at:]."""
    cell = units.cell[b, u]
    row[at] = np.float32(units.blood[b, u]) / np.float32(MAX_BLOOD[u])
    row[at + 1] = board.features[cell, 0]
    row[at + 2] = board.features[cell, 1]
    row[at + 3] = board.features[cell, 2]
    row[at + 4] = np.float32(units.cooldown[b, u]) / np.float32(_COOLDOWN_SCALE[u])
    row[at + 5] = np.float32(units.preparation[b, u]) / np.float32(_PREPARATION_SCALE[u])
    if units.busy[b, u] > 0:
        row[at + 6] = np.float32(units.busy[b, u]) / np.float32(rules.duration[u])
        row[at + 7 + units.direction[b, u]] = 1.0


@lean_kernel
def describe_other(board, units, row, at, cells, b, i, other):
    """A unit that agent `i` sees `cells` away. Writes: row[at:]."""
    here, there = units.cell[b, i], units.cell[b, other]
    scale = np.float32(OBSERVED_DISTANCE[i])
    row[at] = 1.0
    row[at + 1] = np.float32(board.axial_q[there] - board.axial_q[here]) / scale
    row[at + 2] = np.float32(board.axial_r[there] - board.axial_r[here]) / scale
    row[at + 3] = np.float32(cells) / scale
    row[at + 4 + other % N_AGENTS] = 1.0
    row[at + 7] = np.float32(units.blood[b, other]) / np.float32(MAX_BLOOD[other])
    row[at + 8] = board.features[there, 2]


@lean_kernel
def observe_state(board, rules, units, t, state, b):
    """The full state; a dead unit is all zero. Writes: state[b]."""
    row = state[b]
    for k in range(STATE_DIM):
        row[k] = 0.0
    for u in range(N_UNITS):
        if units.blood[b, u] > 0:
            at = u * _N_UNIT
            row[at] = 1.0
            row[at + 1 + u % N_AGENTS] = 1.0
            describe_body(board, rules, units, row, at + 1 + N_TYPES, b, u)
    row[STATE_DIM - 1] = np.float32(t[b]) / np.float32(rules.episode_limit)
