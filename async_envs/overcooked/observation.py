# mypy: disallow-untyped-defs=False
"""What an agent observes and what the full state tells, feature by feature in the order of the published
names.
"""

import numpy as np

from async_envs.core.compile import lean_kernel
from async_envs.overcooked.constants import (
    FIRST_AGENT,
    FOOD_NAMES,
    N_FOODS,
    N_KNIVES,
    N_PLATES,
    N_TASKS,
    N_THINGS,
    NOTHING,
    STRIKES,
    THING_CODES,
    THING_NAMES,
    VALUES,
)
from async_envs.overcooked.dishes import DISHES

# Where things stand in an observation.
_PLATES_AT = 3 * N_FOODS
_FIXTURES_AT = _PLATES_AT + 2 * N_PLATES
_AGENTS_AT = _FIXTURES_AT + 2 * (N_KNIVES + 1)

_FIXTURES = ("knife_1", "knife_2", "delivery")


def agent_names(n_agents: int) -> tuple[str, ...]:
    """agent_1 …, as upstream counts them."""
    return tuple(f"agent_{i + 1}" for i in range(n_agents))


def obs_names(n_agents: int) -> tuple[str, ...]:
    """Names of an observation; x is the row over the rows, y the column over the columns."""
    foods = tuple(f"{food}.{part}" for food in FOOD_NAMES for part in ("x", "y", "chopped"))
    others = THING_NAMES[N_FOODS:] + _FIXTURES + agent_names(n_agents)
    dishes = tuple(f"task.{dish}" for dish in DISHES)
    return foods + tuple(f"{name}.{part}" for name in others for part in ("x", "y")) + dishes


def state_names(n_agents: int, macros: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the state; `macros` are the macro-actions, () where agents choose primitive actions."""
    agents = agent_names(n_agents)
    names = obs_names(n_agents)
    names += tuple(f"{thing}.lies_open" for thing in THING_NAMES)
    names += tuple(f"{knife}.{thing}" for knife in _FIXTURES[:N_KNIVES] for thing in THING_NAMES)
    names += tuple(f"{plate}.{food}" for plate in THING_NAMES[N_FOODS:] for food in FOOD_NAMES)
    for agent in agents:
        names += tuple(f"{agent}.holds_{thing}" for thing in THING_NAMES)
        for other in THING_NAMES + agents:
            if other != agent:
                names += tuple(f"{agent}.remembers_{other}.{part}" for part in ("x", "y"))
        names += tuple(f"{agent}.remembers_{food}.chopped" for food in FOOD_NAMES)
        names += tuple(f"{agent}.executes_{macro}" for macro in macros)
        names += (f"{agent}.strikes",) if macros else ()
    return names + ("time",)


@lean_kernel
def write_cell(kitchen, row, at, cell):
    """Writes: row[at], row[at + 1]."""
    row[at] = kitchen.share[cell, 0]
    row[at + 1] = kitchen.share[cell, 1]


@lean_kernel
def write_seen_cell(kitchen, row, at, cell, is_seen):
    """The cell where `is_seen` is 1, zero where it is 0. Writes: row[at], row[at + 1]."""
    row[at] = kitchen.share[cell, 0] * np.float32(is_seen)
    row[at + 1] = kitchen.share[cell, 1] * np.float32(is_seen)


@lean_kernel
def observe_remembered(kitchen, rules, memory, obs, b, i):
    """What agent `i` remembers. Writes: obs[b, i]."""
    row = obs[b, i]
    write_fixed(kitchen, rules, row)
    for e in range(memory.places.shape[2]):
        write_cell(kitchen, row, entity_at(e), memory.places[b, i, e])
    for food in range(N_FOODS):
        row[3 * food + 2] = VALUES[memory.cuts[b, i, food], memory.unseen[b, i, food]]


@lean_kernel
def observe_seen(kitchen, rules, things, obs, b, i):
    """What agent `i` sees now; the rest is zero. Writes: obs[b, i]."""
    row, places = obs[b, i], things.places[b]
    sees = kitchen.in_view[places[FIRST_AGENT + i]]
    for e in range(places.shape[0]):  # multiplied by 0 or 1, as a branch would be hard to foresee
        write_seen_cell(kitchen, row, entity_at(e), places[e], sees[places[e]])
    for food in range(N_FOODS):
        row[3 * food + 2] = VALUES[things.cuts[b, food], 0] * np.float32(sees[places[food]])
    for knife in range(N_KNIVES):
        cell = kitchen.knives[knife]
        write_seen_cell(kitchen, row, _FIXTURES_AT + 2 * knife, cell, sees[cell])
    write_seen_cell(kitchen, row, _FIXTURES_AT + 2 * N_KNIVES, kitchen.delivery, sees[kitchen.delivery])
    for task in range(N_TASKS):
        row[row.shape[0] - N_TASKS + task] = np.float32(task == rules.task)


@lean_kernel
def write_fixed(kitchen, rules, row):
    """What never changes, with everything else zero. Writes: row."""
    n_agents = kitchen.counters.shape[0]
    for k in range(_AGENTS_AT + 2 * n_agents + N_TASKS):
        row[k] = 0.0
    for knife in range(N_KNIVES):
        write_cell(kitchen, row, _FIXTURES_AT + 2 * knife, kitchen.knives[knife])
    write_cell(kitchen, row, _FIXTURES_AT + 2 * N_KNIVES, kitchen.delivery)
    row[_AGENTS_AT + 2 * n_agents + rules.task] = 1.0


@lean_kernel
def write_one(row, at, thing):
    """1 for the thing among zeros, nothing for NOTHING. Writes: row[at:]."""
    row[at + max(thing, 0)] = np.float32(thing != NOTHING)


@lean_kernel
def entity_at(e):
    """Where a movable entity stands in an observation."""
    if e < N_FOODS:
        return 3 * e
    if e < N_THINGS:
        return _PLATES_AT + 2 * (e - N_FOODS)
    return _AGENTS_AT + 2 * (e - N_THINGS)


@lean_kernel
def observe_state(kitchen, rules, things, memory, plans, out, b):
    """The full state. Writes: out.state[b]."""
    row = out.state[b]
    n_agents = things.hands.shape[1]
    n_macros = out.avail_actions.shape[2] - 2 if rules.is_macro else 0
    for k in range(row.shape[0]):
        row[k] = 0.0
    write_fixed(kitchen, rules, row)
    for e in range(things.places.shape[1]):
        write_cell(kitchen, row, entity_at(e), things.places[b, e])
    for food in range(N_FOODS):
        row[3 * food + 2] = VALUES[things.cuts[b, food], 0]
    at = _AGENTS_AT + 2 * n_agents + N_TASKS
    for thing in range(N_THINGS):
        row[at + thing] = things.cells[b, things.places[b, thing]] == THING_CODES[thing]
    at += N_THINGS
    for knife in range(N_KNIVES):
        write_one(row, at, things.boards[b, knife])
        at += N_THINGS
    for plate in range(N_PLATES):
        for food in range(N_FOODS):
            row[at + food] = things.plates[b, plate] >> food & 1
        at += N_FOODS
    for i in range(n_agents):
        write_one(row, at, things.hands[b, i])
        at += N_THINGS
        places, cuts, unseen = memory.places[b, i], memory.cuts[b, i], memory.unseen[b, i]
        for e in range(places.shape[0]):
            if e != FIRST_AGENT + i:
                write_cell(kitchen, row, at, places[e])
                at += 2
        for food in range(N_FOODS):
            row[at + food] = VALUES[cuts[food], unseen[food]]
        at += N_FOODS
        if n_macros > 0:
            row[at + plans.macro[b, i]] = np.float32(plans.running[b, i])
            row[at + n_macros] = np.float32(plans.strikes[b, i]) / np.float32(STRIKES)
            at += n_macros + 1
    row[at] = np.float32(out.t[b]) / np.float32(rules.episode_limit)
