# mypy: disallow-untyped-defs=False
"""The scripted enemy: sent to one point at the start, it attacks what it meets on the way."""

from async_envs.core.compile import lean_kernel
from async_envs.smac import fields as f
from async_envs.smac.combat import distance
from async_envs.smac.constants import (
    CALL_RADIUS,
    FAR,
    GRUDGE_KEPT,
    GRUDGE_TAKEN,
    HEALER,
    IDLE,
    KEEP_SLOP,
    NOBODY,
    UNARMED,
)


@lean_kernel
def choose_targets(battle, b):
    """Every enemy keeps, drops or takes a target; all choose on the same situation. Writes: target."""
    traits, rules, real, whole = battle.traits, battle.rules, battle.real, battle.whole
    first = rules[f.N_AGENTS]
    for u in range(first, real.shape[2]):
        whole[f.WISH, b, u] = NOBODY
        is_idle = whole[f.ALIVE, b, u] == 0 or whole[f.ORDER, b, u] == IDLE
        if is_idle or traits[f.WEAPON, u] == UNARMED:
            continue
        if traits[f.WEAPON, u] == HEALER:
            whole[f.WISH, b, u] = patient_of(battle, b, u)
        else:
            whole[f.WISH, b, u] = target_of(battle, b, u)
    for u in range(first, real.shape[2]):
        whole[f.TARGET, b, u] = whole[f.WISH, b, u]
        if whole[f.WISH, b, u] != NOBODY:
            whole[f.ARRIVED, b, u] = 0


@lean_kernel
def target_of(battle, b, u):
    """Whom a fighter attacks: its target while it may be kept, else who hurt it or a friend, else the nearest;
    but one in reach always before one that is not.
    """
    pairs, rules, real, whole = battle.pairs, battle.rules, battle.real, battle.whole
    target = whole[f.TARGET, b, u]
    if target != NOBODY:
        if is_prey(battle, b, u, target):
            between = distance(battle, b, u, target)
            if between <= pairs[f.REACH, u, target]:
                return target
            is_kept = between <= pairs[f.REACH, u, target] + KEEP_SLOP or between <= pairs[f.SCAN, u, target]
            has_grudge = whole[f.HURT_BY, b, u] == target and whole[f.HURT_AGO, b, u] <= GRUDGE_KEPT
            if not (is_kept or has_grudge):
                target = NOBODY
        else:
            target = NOBODY
    if target == NOBODY:
        target = attacker_of(battle, b, u)
        if target != NOBODY and distance(battle, b, u, target) <= pairs[f.REACH, u, target]:
            return target

    xs, ys, alive = real[f.X, b], real[f.Y, b], whole[f.ALIVE, b]
    reach, scan, can_hit = pairs[f.REACH, u], pairs[f.SCAN, u], pairs[f.CAN_HIT, u]
    in_reach, in_scan = NOBODY, NOBODY
    nearest_reach, nearest_scan = FAR, FAR
    for v in range(rules[f.N_AGENTS]):
        if alive[v] == 0 or can_hit[v] == 0.0:
            continue
        dx, dy = xs[v] - xs[u], ys[v] - ys[u]
        squared = dx * dx + dy * dy
        if squared <= reach[v] * reach[v] and squared < nearest_reach:
            in_reach, nearest_reach = v, squared
        if squared <= scan[v] * scan[v] and squared < nearest_scan:
            in_scan, nearest_scan = v, squared
    if in_reach != NOBODY:
        return in_reach
    return target if target != NOBODY else in_scan


@lean_kernel
def is_prey(battle, b, u, v):
    """Whether v is a living unit that u may attack."""
    pairs, rules, whole = battle.pairs, battle.rules, battle.whole
    return v != NOBODY and v < rules[f.N_AGENTS] and whole[f.ALIVE, b, v] == 1 and pairs[f.CAN_HIT, u, v] == 1


@lean_kernel
def attacker_of(battle, b, u):
    """Who hurt u a moment ago, else who hurt a friend close by (the first of them), or NOBODY."""
    rules, real, whole = battle.rules, battle.real, battle.whole
    by = whole[f.HURT_BY, b, u]
    if whole[f.HURT_AGO, b, u] <= GRUDGE_TAKEN and is_prey(battle, b, u, by):
        return by
    for friend in range(rules[f.N_AGENTS], real.shape[2]):
        if friend == u or whole[f.ALIVE, b, friend] == 0 or whole[f.HURT_AGO, b, friend] > GRUDGE_TAKEN:
            continue
        by = whole[f.HURT_BY, b, friend]
        if is_prey(battle, b, u, by) and distance(battle, b, u, friend) <= CALL_RADIUS:
            return by
    return NOBODY


@lean_kernel
def patient_of(battle, b, u):
    """Whom a healer tends: the worst off within its scan, else the nearest that is hurt, or NOBODY."""
    stats, traits, pairs, real, whole = battle.stats, battle.traits, battle.pairs, battle.real, battle.whole
    worst, nearest = NOBODY, NOBODY
    least_part, least_distance = 1.0, FAR
    for v in range(battle.rules[f.N_AGENTS], real.shape[2]):
        if v == u or whole[f.ALIVE, b, v] == 0 or traits[f.IS_HEALABLE, v] == 0:
            continue
        part = real[f.HEALTH, b, v] / stats[f.MAX_HEALTH, v]
        if part >= 1.0:
            continue
        between = distance(battle, b, u, v)
        if between <= pairs[f.SCAN, u, v] and part < least_part:
            worst, least_part = v, part
        if between < least_distance:
            nearest, least_distance = v, between
    return worst if worst != NOBODY else nearest
