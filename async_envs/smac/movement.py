# mypy: disallow-untyped-defs=False
"""Where units go, step round each other, are kept apart and stop at walls. One episode per function.

Everybody steps from the positions of the loop's beginning and pushes are gathered before they are applied, so
that the order of the units does not matter.
"""

import math

from async_envs.core.compile import lean_kernel
from async_envs.smac import fields as f
from async_envs.smac.combat import distance
from async_envs.smac.constants import (
    ARRIVAL_RADIUS,
    CLOSER,
    CROWD,
    CROWD_EACH,
    ENGAGED,
    FOLLOW_DISTANCE,
    HEALER,
    HUNT,
    IDLE,
    MOVING,
    NOBODY,
    NOT_DUE,
    STILL,
    SWEEPS,
    TEND,
    TOUCHING,
    TURN_COS,
    TURN_SIN,
    WALK,
)
from async_envs.smac.walls import needs_path, shift, way_to


@lean_kernel
def march(battle, ground, b):
    """Everybody who wants to go somewhere goes a step of one loop. Writes: x, y, velocity, arrived."""
    real, whole = battle.real, battle.whole
    n_units = real.shape[2]
    for u in range(n_units):
        intend(battle, ground, b, u)
        if whole[f.DOING, b, u] != MOVING:
            real[f.VELOCITY, b, u] = 0.0
    for u in range(n_units):
        if whole[f.DOING, b, u] == MOVING:
            step_towards_aim(battle, b, u)
    for u in range(n_units):
        if whole[f.DOING, b, u] == MOVING:
            shift(battle, ground, b, u, real[f.NEXT_X, b, u], real[f.NEXT_Y, b, u])


@lean_kernel
def intend(battle, ground, b, u):
    """What unit u does in this loop. Writes: doing, aim_x, aim_y, arrived."""
    traits, rules, real, whole = battle.traits, battle.rules, battle.real, battle.whole
    whole[f.DOING, b, u] = STILL
    order, target = whole[f.ORDER, b, u], whole[f.TARGET, b, u]
    if whole[f.ALIVE, b, u] == 0 or order == IDLE:
        return
    if whole[f.SWING_IN, b, u] != NOT_DUE:
        whole[f.DOING, b, u] = ENGAGED
    elif order == WALK:
        aim_at(battle, b, u, real[f.GOAL_X, b, u], real[f.GOAL_Y, b, u], 0.0)
    elif target != NOBODY:
        if whole[f.ALIVE, b, target] == 1:
            approach(battle, ground, b, u, target)
    elif order == HUNT and rules[f.HAS_ATTACK_POINT] and traits[f.IS_STRUCTURE, u] == 0:
        hunt(battle, ground, b, u)
    elif order == TEND:
        follow(battle, b, u)


@lean_kernel
def aim_at(battle, b, u, x, y, short):
    """Walk to the point, or stop `short` of it. Writes: doing, aim_x, aim_y."""
    real, whole = battle.real, battle.whole
    dx, dy = x - real[f.X, b, u], y - real[f.Y, b, u]
    between = math.sqrt(dx * dx + dy * dy)
    if between > short:
        part = (between - short) / between
        whole[f.DOING, b, u] = MOVING
        real[f.AIM_X, b, u] = real[f.X, b, u] + dx * part
        real[f.AIM_Y, b, u] = real[f.Y, b, u] + dy * part


@lean_kernel
def approach(battle, ground, b, u, target):
    """Walk until the target is in reach. Writes: doing, aim_x, aim_y."""
    traits, pairs, real, whole = battle.traits, battle.pairs, battle.real, battle.whole
    if distance(battle, b, u, target) <= pairs[f.REACH, u, target]:
        whole[f.DOING, b, u] = ENGAGED
    elif traits[f.IS_STRUCTURE, u] == 0:
        x, y, short = real[f.X, b, target], real[f.Y, b, target], pairs[f.REACH, u, target] - CLOSER
        if needs_path(battle, ground, b, u, x, y):
            x, y = way_to(battle, ground, b, u, x, y)
            short = 0.0
        aim_at(battle, b, u, x, y, short)


@lean_kernel
def hunt(battle, ground, b, u):
    """Walk to the attack point; there, or touching a friend that is, stand. Writes: doing, aim_x, aim_y, arrived."""
    scales, real, whole = battle.scales, battle.real, battle.whole
    if whole[f.ARRIVED, b, u] == 1:
        return
    dx, dy = scales[f.ATTACK_X] - real[f.X, b, u], scales[f.ATTACK_Y] - real[f.Y, b, u]
    between = math.sqrt(dx * dx + dy * dy)
    crowd = CROWD + CROWD_EACH * math.sqrt(battle.rules[f.N_ENEMIES])
    if between <= ARRIVAL_RADIUS or (between <= crowd and touches_arrived(battle, b, u)):
        whole[f.ARRIVED, b, u] = 1
        return
    x, y = scales[f.ATTACK_X], scales[f.ATTACK_Y]
    if needs_path(battle, ground, b, u, x, y):
        x, y = way_to(battle, ground, b, u, x, y)
    aim_at(battle, b, u, x, y, 0.0)


@lean_kernel
def touches_arrived(battle, b, u):
    """Whether a friend that has arrived stands in the way."""
    pairs, rules, real, whole = battle.pairs, battle.rules, battle.real, battle.whole
    for v in range(rules[f.N_AGENTS], real.shape[2]):
        if v != u and whole[f.ALIVE, b, v] == 1 and whole[f.ARRIVED, b, v] == 1 and pairs[f.APART, u, v] > 0.0:
            if distance(battle, b, u, v) <= pairs[f.APART, u, v] + TOUCHING:
                return True
    return False


@lean_kernel
def follow(battle, b, u):
    """A healer with nobody to heal stays near the middle of its fighting friends. Writes: doing, aim_x, aim_y."""
    traits, rules, real, whole = battle.traits, battle.rules, battle.real, battle.whole
    x, y, n = 0.0, 0.0, 0
    for v in range(rules[f.N_AGENTS], real.shape[2]):
        if whole[f.ALIVE, b, v] == 1 and traits[f.WEAPON, v] != HEALER:
            x += real[f.X, b, v]
            y += real[f.Y, b, v]
            n += 1
    if n > 0:
        aim_at(battle, b, u, x / n, y / n, FOLLOW_DISTANCE)


@lean_kernel
def step_towards_aim(battle, b, u):
    """A step of one loop towards the aim, turned aside by who stands in the way. Writes: next_x, next_y.

    The turns tried are 60 and 100 degrees, away from the first one in the way; with neither free it waits.
    """
    stats, real = battle.stats, battle.real
    x, y = real[f.X, b, u], real[f.Y, b, u]
    dx, dy = real[f.AIM_X, b, u] - x, real[f.AIM_Y, b, u] - y
    between = math.sqrt(dx * dx + dy * dy)
    top = stats[f.SPEED, u] * real[f.PACE, b, u]
    if stats[f.ACCELERATION, u] > 0.0:
        real[f.VELOCITY, b, u] = min(top, real[f.VELOCITY, b, u] + stats[f.ACCELERATION, u])
        top = real[f.VELOCITY, b, u]
    part = top / between if between > top else 1.0
    dx, dy = dx * part, dy * part

    turn = 0.0
    for k in range(len(TURN_COS)):
        step_x = dx * TURN_COS[k] - dy * TURN_SIN[k] * turn
        step_y = dy * TURN_COS[k] + dx * TURN_SIN[k] * turn
        blocker = in_the_way(battle, b, u, x + step_x, y + step_y)
        if blocker == NOBODY:
            real[f.NEXT_X, b, u] = x + step_x
            real[f.NEXT_Y, b, u] = y + step_y
            return
        if k == 0:
            side = dx * (real[f.Y, b, blocker] - y) - dy * (real[f.X, b, blocker] - x)  # above 0: on the left
            turn = -1.0 if side > 0.0 or (side == 0.0 and u % 2 == 0) else 1.0
    real[f.NEXT_X, b, u] = x
    real[f.NEXT_Y, b, u] = y


@lean_kernel
def in_the_way(battle, b, u, x, y):
    """The first standing unit that u would come too close to at the point, or NOBODY."""
    xs, ys, apart = battle.real[f.X, b], battle.real[f.Y, b], battle.pairs[f.APART, u]
    alive, doing = battle.whole[f.ALIVE, b], battle.whole[f.DOING, b]
    for v in range(xs.shape[0]):
        if doing[v] == MOVING or v == u:
            continue
        there_x, there_y = xs[v] - x, ys[v] - y
        between = there_x * there_x + there_y * there_y
        if between >= apart[v] * apart[v] or alive[v] == 0:
            continue
        here_x, here_y = xs[v] - xs[u], ys[v] - ys[u]
        if between < here_x * here_x + here_y * here_y:  # a step away is never blocked
            return v
    return NOBODY


@lean_kernel
def separate(battle, ground, b):
    """Units that overlap are pushed apart: who walks gives way to who fights, structures never move.

    Writes: x, y; next_x and next_y hold the pushes.
    """
    xs, ys, alive = battle.real[f.X, b], battle.real[f.Y, b], battle.whole[f.ALIVE, b]
    push_x, push_y = battle.real[f.NEXT_X, b], battle.real[f.NEXT_Y, b]
    n_units = xs.shape[0]
    for _ in range(SWEEPS):
        for u in range(n_units):
            push_x[u] = 0.0
            push_y[u] = 0.0
        n_overlaps = 0
        for u in range(n_units):
            if alive[u] == 0:
                continue
            x, y, near = xs[u], ys[u], battle.pairs[f.NEAR, u]
            for v in range(u + 1, n_units):
                dx, dy = xs[v] - x, ys[v] - y
                squared = dx * dx + dy * dy
                if squared < near[v] and alive[v] == 1:
                    push(battle, b, u, v, dx, dy, math.sqrt(squared), battle.pairs[f.APART, u, v])
                    n_overlaps += 1
        if n_overlaps == 0:
            return
        for u in range(n_units):
            if push_x[u] != 0.0 or push_y[u] != 0.0:
                shift(battle, ground, b, u, xs[u] + push_x[u], ys[u] + push_y[u])


@lean_kernel
def push(battle, b, u, v, dx, dy, between, apart):
    """Divide the overlap of a pair, v lying at (dx, dy) from u. Writes: next_x, next_y."""
    traits, real, whole = battle.traits, battle.real, battle.whole
    part_u = 0.5
    if traits[f.IS_STRUCTURE, u] == 1:
        part_u = 0.0
    elif traits[f.IS_STRUCTURE, v] == 1:
        part_u = 1.0
    elif whole[f.DOING, b, u] == MOVING and whole[f.DOING, b, v] == ENGAGED:
        part_u = 1.0
    elif whole[f.DOING, b, u] == ENGAGED and whole[f.DOING, b, v] == MOVING:
        part_u = 0.0
    away_x, away_y = 1.0, 0.0  # of v from u; on one spot, the later unit goes east
    if between > 0.0:
        away_x, away_y = dx / between, dy / between
    overlap = apart - between
    real[f.NEXT_X, b, u] -= away_x * overlap * part_u
    real[f.NEXT_Y, b, u] -= away_y * overlap * part_u
    real[f.NEXT_X, b, v] += away_x * overlap * (1.0 - part_u)
    real[f.NEXT_Y, b, v] += away_y * overlap * (1.0 - part_u)
