"""The rules of POAC: one episode per function, `step_batch` as the table of contents. See README.md for the
rules.
"""

from async_envs.core.seeding import next_below
from async_envs.core.simulator import CONTINUE, NOOP
from async_envs.poac.constants import (
    ATTACK,
    BLUE,
    COOLDOWN,
    DAMAGE,
    GUIDED_ATTACK,
    HIT_TENTHS,
    IN_GUIDED_REACH,
    IN_REACH,
    MAX_BLOOD,
    MOVE,
    N_ACTIONS,
    N_AGENTS,
    N_DIRECTIONS,
    N_ENEMIES,
    N_UNITS,
    NO_DIRECTION,
    OFF_MAP,
    PREPARATION,
    RED,
    STOP,
)
from async_envs.core.compile import lean_kernel
from async_envs.poac.observation import observe_agent, observe_state
from async_envs.poac.opponents import command, forget
from async_envs.poac.sight import look, reach_out
from async_envs.poac.types import unflatten


@lean_kernel
def step_batch(actions, *fields):
    """One step of every running episode, in the order of the rule book. `fields`: a world, flattened.

    Writes: everything but the tables.
    """
    board, rules, units, sight, memory, tally, out, streams, orders = unflatten(fields)
    for b in range(actions.shape[0]):
        out.reward[b] = 0.0
        if out.terminated[b] or out.truncated[b]:
            continue
        for i in range(N_AGENTS):
            orders[b, i] = actions[b, i]
        command(board, rules, units, sight, memory, streams, orders, rules.bot, BLUE, b)

        clear_wounds(units, b)
        shoot(units, tally, streams, orders, b)
        march(board, rules, units, orders, b)
        run_timers(units, b)
        out.reward[b] = bleed(units, tally, b)

        out.t[b] += 1
        settle(rules, units, tally, out, b)
        show(board, rules, units, sight, out, b)


@lean_kernel
def begin_batch(seeds, where, *fields):
    """Start the episodes of the mask `where`. `fields`: a world, flattened.

    Writes: everything but the tables and the flags.
    """
    board, rules, units, sight, memory, tally, out, streams, orders = unflatten(fields)
    for b in range(where.shape[0]):
        if not where[b]:
            continue
        streams[b] = seeds[b]
        deploy(board, rules, units, tally, streams, b)
        forget(units, memory, RED, b)
        forget(units, memory, BLUE, b)
        show(board, rules, units, sight, out, b)


@lean_kernel
def deploy(board, rules, units, tally, streams, b):
    """Every unit fresh and prepared on its start. Writes: units, tally, streams[b] (random_start only)."""
    n_shifts = board.starts.shape[1]
    for side in range(2):
        shift = next_below(streams, b, n_shifts) if rules.random_start else n_shifts // 2
        for i in range(N_AGENTS):
            u = side * N_AGENTS + i
            units.cell[b, u] = board.starts[side, shift, i]
            units.blood[b, u] = MAX_BLOOD[u]
            units.cooldown[b, u] = 0
            units.preparation[b, u] = 0
            units.busy[b, u] = 0
            units.direction[b, u] = NO_DIRECTION
            units.wound[b, u] = 0
        tally.lost[b, side] = 0
        tally.shots[b, side] = 0
        tally.guided_shots[b, side] = 0


@lean_kernel
def clear_wounds(units, b):
    """Writes: units.wound."""
    for u in range(N_UNITS):
        units.wound[b, u] = 0


@lean_kernel
def shoot(units, tally, streams, orders, b):
    """All shots at once on the situation before the step; one draw a shot, in unit order.

    The cool-down is set one too high because this step's `run_timers` takes one off.
    Writes: units.wound, units.cooldown, tally.shots, tally.guided_shots, streams[b].
    """
    for u in range(N_UNITS):
        order = orders[b, u]
        if order < ATTACK:
            continue
        side = u // N_AGENTS
        enemy = (order - ATTACK) % N_ENEMIES
        target = (1 - side) * N_AGENTS + enemy
        if next_below(streams, b, 10) < HIT_TENTHS[u, enemy]:
            units.wound[b, target] += DAMAGE[u, enemy]
        units.cooldown[b, u] = COOLDOWN[u] + 1
        tally.shots[b, side] += 1
        if order >= GUIDED_ATTACK:
            tally.guided_shots[b, side] += 1


@lean_kernel
def march(board, rules, units, orders, b):
    """Moves begin, progress and arrive; a unit that was killed in this step does not move.

    The preparation is set one too high because this step's `run_timers` takes one off.
    Writes: units.busy, units.direction, units.cell, units.preparation.
    """
    for u in range(N_UNITS):
        order = orders[b, u]
        if MOVE <= order < MOVE + N_DIRECTIONS:
            units.direction[b, u] = order - MOVE
            units.busy[b, u] = rules.duration[u]
        if units.busy[b, u] == 0 or units.blood[b, u] <= units.wound[b, u]:
            continue
        units.busy[b, u] -= 1
        if units.busy[b, u] == 0:
            units.cell[b, u] = board.neighbours[units.cell[b, u], units.direction[b, u]]
            units.direction[b, u] = NO_DIRECTION
            units.preparation[b, u] = PREPARATION[u] + 1


@lean_kernel
def run_timers(units, b):
    """Writes: units.cooldown, units.preparation."""
    for u in range(N_UNITS):
        if units.cooldown[b, u] > 0:
            units.cooldown[b, u] -= 1
        if units.preparation[b, u] > 0:
            units.preparation[b, u] -= 1


@lean_kernel
def bleed(units, tally, b):
    """Wounds are taken off, clipped at the blood that is left; the dead fall out of play.

    Returns the step's reward, blood the enemy lost less blood we lost. Writes: units, tally.lost.
    """
    lost_red = take_wounds(units, b, RED)
    lost_blue = take_wounds(units, b, BLUE)
    tally.lost[b, RED] += lost_red
    tally.lost[b, BLUE] += lost_blue
    return (lost_blue - lost_red) / 10.0


@lean_kernel
def take_wounds(units, b, side):
    """Tenths of blood that a side lost. Writes: units."""
    lost = 0
    for u in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        if units.wound[b, u] == 0:
            continue
        taken = min(units.blood[b, u], units.wound[b, u])
        lost += taken
        units.blood[b, u] -= taken
        if units.blood[b, u] == 0:
            units.cooldown[b, u] = 0
            units.preparation[b, u] = 0
            units.busy[b, u] = 0
            units.direction[b, u] = NO_DIRECTION
    return lost


@lean_kernel
def settle(rules, units, tally, out, b):
    """End the episode when a side has no unit left, else at the limit. Writes: out.terminated, truncated,
    metrics.
    """
    n_red, n_blue = 0, 0
    for i in range(N_AGENTS):
        n_red += units.blood[b, i] > 0
        n_blue += units.blood[b, N_AGENTS + i] > 0
    out.terminated[b] = n_red == 0 or n_blue == 0
    out.truncated[b] = not out.terminated[b] and out.t[b] >= rules.episode_limit
    if not (out.terminated[b] or out.truncated[b]):
        return
    dealt, taken = tally.lost[b, BLUE], tally.lost[b, RED]
    out.metrics[0, b] = dealt > taken
    out.metrics[1, b] = dealt == taken
    out.metrics[2, b] = tally.shots[b, RED] + tally.shots[b, BLUE] > 0
    out.metrics[3, b] = dealt / 10.0
    out.metrics[4, b] = taken / 10.0
    out.metrics[5, b] = N_ENEMIES - n_blue
    out.metrics[6, b] = N_AGENTS - n_red
    out.metrics[7, b] = tally.guided_shots[b, RED]


@lean_kernel
def show(board, rules, units, sight, out, b):
    """Sight, availability, observations and state of episode `b`. Writes: sight, out."""
    look(board, units, sight, b)
    reach_out(rules, sight, b)
    for i in range(N_AGENTS):
        allow(board, units, sight, out.avail_actions, b, i)
        observe_agent(board, rules, units, sight, out.t, out.obs, b, i)
    observe_state(board, rules, units, out.t, out.state, b)


@lean_kernel
def allow(board, units, sight, avail_actions, b, i):
    """What agent `i` may choose. Writes: avail_actions[b, i]."""
    for action in range(N_ACTIONS):
        avail_actions[b, i, action] = 0
    if units.blood[b, i] == 0:
        avail_actions[b, i, NOOP] = 1
        return
    if units.busy[b, i] > 0:
        avail_actions[b, i, CONTINUE] = 1
        return
    avail_actions[b, i, STOP] = 1
    for direction in range(N_DIRECTIONS):
        if board.neighbours[units.cell[b, i], direction] != OFF_MAP:
            avail_actions[b, i, MOVE + direction] = 1
    if units.cooldown[b, i] == 0 and units.preparation[b, i] == 0:
        for enemy in range(N_ENEMIES):
            if sight.reach[b, i, enemy] == IN_REACH:
                avail_actions[b, i, ATTACK + enemy] = 1
            elif sight.reach[b, i, enemy] == IN_GUIDED_REACH:
                avail_actions[b, i, GUIDED_ATTACK + enemy] = 1
