# mypy: disallow-untyped-defs=False
"""SMAC's availability, observation and state, block by block in its order; the asynchronous features behind."""

import math

import numpy as np

from async_envs.core.compile import lean_kernel
from async_envs.smac import fields as f
from async_envs.smac.constants import (
    ATTACK,
    HEALER,
    LOOK_AHEAD,
    MOVE,
    MOVE_AMOUNT,
    N_DIRECTIONS,
    SHOOT_RANGE,
    STOP,
)

# Where SMAC looks for walkable ground and for heights, in units of MOVE_AMOUNT: N, S, E, W, NE, SW, SE, NW, own.
_POINTS = np.array(
    [[0, 2], [0, -2], [2, 0], [-2, 0], [1, 1], [-1, -1], [1, -1], [-1, 1], [0, 0]], np.int64
) * int(MOVE_AMOUNT)
N_PATHING, N_HEIGHT = 8, 9


@lean_kernel
def look(battle, ground, physical, b):
    """What SMAC lets each agent do, busy or not; all 0 for the dead. Writes: physical[b]."""
    traits, rules = battle.traits, battle.rules
    xs, ys, alive = battle.real[f.X, b], battle.real[f.Y, b], battle.whole[f.ALIVE, b]
    for i in range(rules[f.N_AGENTS]):
        row = physical[b, i]
        for action in range(row.shape[0]):
            row[action] = 0
        if alive[i] == 0:
            continue
        x, y = xs[i], ys[i]
        row[STOP] = 1
        row[MOVE] = may_move_to(ground, x, y + LOOK_AHEAD)
        row[MOVE + 1] = may_move_to(ground, x, y - LOOK_AHEAD)
        row[MOVE + 2] = may_move_to(ground, x + LOOK_AHEAD, y)
        row[MOVE + 3] = may_move_to(ground, x - LOOK_AHEAD, y)
        is_healer = traits[f.WEAPON, i] == HEALER
        for k in range(rules[f.N_ENEMIES]):
            v = k if is_healer else rules[f.N_AGENTS] + k
            if is_healer and (v >= rules[f.N_AGENTS] or traits[f.WEAPON, v] == HEALER):
                continue
            if alive[v] == 1:
                dx, dy = xs[v] - x, ys[v] - y
                row[ATTACK + k] = dx * dx + dy * dy <= SHOOT_RANGE * SHOOT_RANGE


@lean_kernel
def may_move_to(ground, x, y):
    """SMAC's test of a move: the cell of the point, with both coordinates cut towards 0."""
    height, width = ground.walkable.shape
    column, row = int(x), int(y)
    return 0 <= column < width and 0 <= row < height and ground.walkable[row, column] == 1


@lean_kernel
def observe_agent(battle, ground, clocks, t, obs, b, i):
    """What agent i sees; all 0 when it is dead, but for the time. Writes: obs[b, i]."""
    traits, rules, whole = battle.traits, battle.rules, battle.whole
    row = obs[b, i]
    for k in range(row.shape[0]):
        row[k] = 0.0
    if whole[f.ALIVE, b, i] == 1:
        for k in range(N_DIRECTIONS):
            row[k] = clocks.physical[b, i, MOVE + k]
        at = observe_ground(battle, ground, row, N_DIRECTIONS, b, i)
        at = observe_enemies(battle, clocks, row, at, b, i)
        at = observe_allies(battle, clocks, row, at, b, i)
        if rules[f.SHOWS_OWN_HEALTH]:
            at = describe_health(battle, rules[f.ALLY_SHIELD], row, at, b, i)
        if rules[f.TYPE_BITS] > 0:
            row[at + traits[f.TYPE_BIT, i]] = 1.0
    end = row.shape[0]
    if rules[f.SHOWS_CLOCKS]:
        end -= 1 + rules[f.N_AGENTS]
        if whole[f.ALIVE, b, i] == 1:
            observe_clocks(battle, clocks, row, end, b, i)
    if rules[f.SHOWS_TIME]:
        row[end - 1] = np.float32(t[b]) / np.float32(rules[f.EPISODE_LIMIT])


@lean_kernel
def observe_ground(battle, ground, row, at, b, i):
    """Walkable ground and heights around the agent; points outside the map read 1. Returns the next place."""
    rules, real = battle.rules, battle.real
    if not (rules[f.SHOWS_PATHING] or rules[f.SHOWS_HEIGHT]):
        return at
    height, width = ground.walkable.shape
    x, y = int(real[f.X, b, i]), int(real[f.Y, b, i])
    for k in range(N_PATHING + N_HEIGHT):
        is_height = k >= N_PATHING
        if (is_height and not rules[f.SHOWS_HEIGHT]) or (not is_height and not rules[f.SHOWS_PATHING]):
            continue
        point = k - N_PATHING if is_height else k
        column, line = x + _POINTS[point, 0], y + _POINTS[point, 1]
        row[at] = 1.0
        if 0 <= column < width and 0 <= line < height:
            row[at] = ground.height[line, column] if is_height else ground.walkable[line, column]
        at += 1
    return at


@lean_kernel
def observe_enemies(battle, clocks, row, at, b, i):
    """A block for each enemy, 0 when it is dead or out of sight. Returns the next place. Writes: row[at:]."""
    traits, rules, scales, real, whole = battle.traits, battle.rules, battle.scales, battle.real, battle.whole
    size = 4 + rules[f.TYPE_BITS] + (1 + rules[f.ENEMY_SHIELD] if rules[f.SHOWS_ALL_HEALTH] else 0)
    for k in range(rules[f.N_ENEMIES]):
        v = rules[f.N_AGENTS] + k
        if whole[f.ALIVE, b, v] == 1:
            dx, dy = real[f.X, b, v] - real[f.X, b, i], real[f.Y, b, v] - real[f.Y, b, i]
            squared = dx * dx + dy * dy
            if squared < scales[f.SIGHT] * scales[f.SIGHT]:
                row[at] = clocks.physical[b, i, ATTACK + k]
                describe_place(battle, row, at + 1, dx, dy, squared)
                end = at + 4
                if rules[f.SHOWS_ALL_HEALTH]:
                    end = describe_health(battle, rules[f.ENEMY_SHIELD], row, end, b, v)
                if rules[f.TYPE_BITS] > 0:
                    row[end + traits[f.TYPE_BIT, v]] = 1.0
        at += size
    return at


@lean_kernel
def observe_allies(battle, clocks, row, at, b, i):
    """A block for each other agent, 0 when it is dead or out of sight. Returns the next place."""
    traits, rules, scales, real, whole = battle.traits, battle.rules, battle.scales, battle.real, battle.whole
    size = 4 + rules[f.TYPE_BITS] + (1 + rules[f.ALLY_SHIELD] if rules[f.SHOWS_ALL_HEALTH] else 0)
    if rules[f.SHOWS_LAST_ACTION]:
        size += clocks.physical.shape[2]
    for j in range(rules[f.N_AGENTS]):
        if j == i:
            continue
        if whole[f.ALIVE, b, j] == 1:
            dx, dy = real[f.X, b, j] - real[f.X, b, i], real[f.Y, b, j] - real[f.Y, b, i]
            squared = dx * dx + dy * dy
            if squared < scales[f.SIGHT] * scales[f.SIGHT]:
                row[at] = 1.0
                describe_place(battle, row, at + 1, dx, dy, squared)
                end = at + 4
                if rules[f.SHOWS_ALL_HEALTH]:
                    end = describe_health(battle, rules[f.ALLY_SHIELD], row, end, b, j)
                if rules[f.TYPE_BITS] > 0:
                    row[end + traits[f.TYPE_BIT, j]] = 1.0
                    end += rules[f.TYPE_BITS]
                if rules[f.SHOWS_LAST_ACTION] and clocks.shown[b, j] >= 0:
                    row[end + clocks.shown[b, j]] = 1.0
        at += size
    return at


@lean_kernel
def describe_place(battle, row, at, dx, dy, squared):
    """Distance and offset in parts of the sight. Writes: row[at:]."""
    scales = battle.scales
    row[at] = math.sqrt(squared) / scales[f.SIGHT]
    row[at + 1] = dx / scales[f.SIGHT]
    row[at + 2] = dy / scales[f.SIGHT]


@lean_kernel
def describe_health(battle, has_shield, row, at, b, u):
    """Health, and shield where the side has any, in parts of the full. Returns the next place."""
    stats, real = battle.stats, battle.real
    row[at] = real[f.HEALTH, b, u] / stats[f.MAX_HEALTH, u]
    if not has_shield:
        return at + 1
    if stats[f.MAX_SHIELD, u] > 0.0:
        row[at + 1] = real[f.SHIELD, b, u] / stats[f.MAX_SHIELD, u]
    return at + 2


@lean_kernel
def observe_clocks(battle, clocks, row, at, b, i):
    """Its duration, what it owes, and what each agent in sight owes. Writes: row[at:]."""
    rules, scales, real, whole = battle.rules, battle.scales, battle.real, battle.whole
    row[at] = clocks.duration[i] / scales[f.DURATION_SCALE]
    row[at + 1] = clocks.left[b, i] / scales[f.DURATION_SCALE]
    at += 2
    for j in range(rules[f.N_AGENTS]):
        if j == i:
            continue
        if whole[f.ALIVE, b, j] == 1:
            dx, dy = real[f.X, b, j] - real[f.X, b, i], real[f.Y, b, j] - real[f.Y, b, i]
            if dx * dx + dy * dy < scales[f.SIGHT] * scales[f.SIGHT]:
                row[at] = clocks.left[b, j] / scales[f.DURATION_SCALE]
        at += 1


@lean_kernel
def observe_state(battle, ground, clocks, out, b):
    """The full state; rows of the dead are 0. Writes: out.state[b]."""
    rules = battle.rules
    row = out.state[b]
    for k in range(row.shape[0]):
        row[k] = 0.0
    if rules[f.STATE_IS_OBS]:
        size = out.obs.shape[2]
        for i in range(rules[f.N_AGENTS]):
            for k in range(size):
                row[i * size + k] = out.obs[b, i, k]
        return
    at = 0
    for u in range(rules[f.N_AGENTS] + rules[f.N_ENEMIES]):
        at = describe_unit(battle, ground, row, at, b, u)
    if rules[f.STATE_SHOWS_LAST_ACTION]:
        for i in range(rules[f.N_AGENTS]):
            if clocks.shown[b, i] >= 0:
                row[at + clocks.shown[b, i]] = 1.0
            at += clocks.physical.shape[2]
    if rules[f.STATE_SHOWS_TIME]:
        row[at] = np.float32(out.t[b]) / np.float32(rules[f.EPISODE_LIMIT])
        at += 1
    if rules[f.SHOWS_CLOCKS]:
        for i in range(rules[f.N_AGENTS]):
            if battle.whole[f.ALIVE, b, i] == 1:
                row[at] = clocks.duration[i] / battle.scales[f.DURATION_SCALE]
                row[at + 1] = clocks.left[b, i] / battle.scales[f.DURATION_SCALE]
            at += 2


@lean_kernel
def describe_unit(battle, ground, row, at, b, u):
    """A unit's row of the state; an agent's has its weapon's clock, or its energy. Returns the next place."""
    stats, traits, rules, real = battle.stats, battle.traits, battle.rules, battle.real
    is_ally = u < rules[f.N_AGENTS]
    has_shield = rules[f.ALLY_SHIELD] if is_ally else rules[f.ENEMY_SHIELD]
    end = at + 3 + has_shield + rules[f.TYPE_BITS]
    if is_ally:
        end += 1
    if battle.whole[f.ALIVE, b, u] == 0:
        return end
    row[at] = real[f.HEALTH, b, u] / stats[f.MAX_HEALTH, u]
    if is_ally:
        at += 1
        clock = real[f.ENERGY, b, u] if traits[f.WEAPON, u] == HEALER else max(real[f.COOLDOWN, b, u], 0.0)
        row[at] = clock / stats[f.COOLDOWN_SCALE, u]
    height, width = ground.walkable.shape
    row[at + 1] = (real[f.X, b, u] - width / 2) / width
    row[at + 2] = (real[f.Y, b, u] - height / 2) / height
    if has_shield and stats[f.MAX_SHIELD, u] > 0.0:
        row[at + 3] = real[f.SHIELD, b, u] / stats[f.MAX_SHIELD, u]
    if rules[f.TYPE_BITS] > 0:
        row[end - rules[f.TYPE_BITS] + traits[f.TYPE_BIT, u]] = 1.0
    return end
