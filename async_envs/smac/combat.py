# mypy: disallow-untyped-defs=False
"""Clocks of the units, attacks, hits, healing, death. One episode per function."""

import math

import numpy as np

from async_envs.core.compile import lean_kernel
from async_envs.smac import fields as f
from async_envs.smac.constants import (
    BEAM,
    BEAM_LENGTH,
    BEAM_WIDTH,
    BURST,
    BURST_RADIUS,
    ENERGY_GAIN,
    ENERGY_MAX,
    ENERGY_PER_POINT,
    HEAL,
    HEAL_GAIN,
    HEALER,
    IDLE,
    LEAST_DAMAGE,
    NOBODY,
    NOT_DUE,
    SHIELD_GAIN,
    SHIELD_DELAY,
    TEND,
    UNARMED,
)

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / 9007199254740992.0  # 2 ** -53


@lean_kernel
def distance(battle, b, u, v):
    """Between the centres of two units."""
    real = battle.real
    dx = real[f.X, b, v] - real[f.X, b, u]
    dy = real[f.Y, b, v] - real[f.Y, b, u]
    return math.sqrt(dx * dx + dy * dy)


@lean_kernel
def run_timers(battle, b):
    """A loop passes: clocks run down, shields, health and energy grow. Writes: units."""
    stats, traits, real, whole = battle.stats, battle.traits, battle.real, battle.whole
    for u in range(real.shape[2]):
        if whole[f.HIT_IN, b, u] > 0:
            whole[f.HIT_IN, b, u] -= 1  # missiles fly on when their shooter is dead
        if whole[f.ALIVE, b, u] == 0:
            continue
        if real[f.COOLDOWN, b, u] > 0.0:
            real[f.COOLDOWN, b, u] -= 1.0
        else:
            real[f.COOLDOWN, b, u] = 0.0  # a remainder that was not used is lost
        if whole[f.SWING_IN, b, u] > 0:
            whole[f.SWING_IN, b, u] -= 1
        whole[f.HURT_AGO, b, u] += 1
        if whole[f.SHIELD_WAIT, b, u] > 0:
            whole[f.SHIELD_WAIT, b, u] -= 1
        elif real[f.SHIELD, b, u] < stats[f.MAX_SHIELD, u]:
            real[f.SHIELD, b, u] = min(stats[f.MAX_SHIELD, u], real[f.SHIELD, b, u] + SHIELD_GAIN)
        if stats[f.REGENERATION, u] > 0.0:
            real[f.HEALTH, b, u] = min(stats[f.MAX_HEALTH, u], real[f.HEALTH, b, u] + stats[f.REGENERATION, u])
        if traits[f.WEAPON, u] == HEALER:
            real[f.ENERGY, b, u] = min(ENERGY_MAX, real[f.ENERGY, b, u] + ENERGY_GAIN)


@lean_kernel
def start_attacks(battle, streams, b):
    """Whoever has its target in reach and its weapon ready begins an attack. Writes: units."""
    stats, traits, pairs, real, whole = battle.stats, battle.traits, battle.pairs, battle.real, battle.whole
    for u in range(real.shape[2]):
        target = whole[f.TARGET, b, u]
        if whole[f.ALIVE, b, u] == 0 or target == NOBODY or real[f.COOLDOWN, b, u] > 0.0:
            continue
        if traits[f.WEAPON, u] == HEALER or traits[f.WEAPON, u] == UNARMED:
            continue
        if whole[f.ALIVE, b, target] == 0 or pairs[f.CAN_HIT, u, target] == 0:
            continue
        if whole[f.SWING_IN, b, u] != NOT_DUE or distance(battle, b, u, target) > pairs[f.REACH, u, target]:
            continue
        real[f.COOLDOWN, b, u] += stats[f.PERIOD, u]
        if battle.rules[f.HAS_COOLDOWN_JITTER]:
            real[f.COOLDOWN, b, u] += jitter(streams[1, b], u, whole[f.SHOTS, b, u])
        whole[f.SHOTS, b, u] += 1
        whole[f.SWING_IN, b, u] = traits[f.DAMAGE_POINT, u]
        whole[f.SWING_AT, b, u] = target


@lean_kernel
def jitter(seed, u, shot):
    """Loops added to a cooldown, uniform in [-1, 2): a hash of (seed, unit, shot), so no order matters."""
    z = seed + np.uint64(u + 1) * _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = z + np.uint64(shot + 1) * _GAMMA
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * _UNIT * 3.0 - 1.0


@lean_kernel
def heal(battle, b):
    """Healers spend energy on a hurt target in reach. Writes: health, energy."""
    stats, traits, pairs, real, whole = battle.stats, battle.traits, battle.pairs, battle.real, battle.whole
    for u in range(real.shape[2]):
        if whole[f.ALIVE, b, u] == 0 or traits[f.WEAPON, u] != HEALER:
            continue
        target = whole[f.TARGET, b, u]
        if target == NOBODY or (whole[f.ORDER, b, u] != HEAL and whole[f.ORDER, b, u] != TEND):
            continue
        if whole[f.ALIVE, b, target] == 0 or traits[f.IS_HEALABLE, target] == 0:
            continue
        if distance(battle, b, u, target) > pairs[f.REACH, u, target]:
            continue
        missing = stats[f.MAX_HEALTH, target] - real[f.HEALTH, b, target]
        points = min(HEAL_GAIN, missing, real[f.ENERGY, b, u] / ENERGY_PER_POINT)
        real[f.HEALTH, b, target] += points
        real[f.ENERGY, b, u] -= points * ENERGY_PER_POINT


@lean_kernel
def land_hits(battle, b):
    """Everything that is due hits at once: who dies in this loop still lands what was due in it.

    Writes: units.
    """
    stats, pairs, rules, real, whole = battle.stats, battle.pairs, battle.rules, battle.real, battle.whole
    for u in range(real.shape[2]):
        if whole[f.HIT_IN, b, u] == 0:
            whole[f.HIT_IN, b, u] = NOT_DUE
            if whole[f.ALIVE, b, whole[f.HIT_AT, b, u]] == 1:
                hurt(battle, b, u, whole[f.HIT_AT, b, u], pairs[f.DAMAGE, u, whole[f.HIT_AT, b, u]])
        if whole[f.ALIVE, b, u] == 0 or whole[f.SWING_IN, b, u] == NOT_DUE:
            continue
        target = whole[f.SWING_AT, b, u]
        between = distance(battle, b, u, target)
        if whole[f.ALIVE, b, target] == 0 or between > pairs[f.REACH, u, target] + stats[f.SLOP, u]:
            whole[f.SWING_IN, b, u] = NOT_DUE  # dead or drifted away: the attack is lost
        elif whole[f.SWING_IN, b, u] == 0:
            whole[f.SWING_IN, b, u] = NOT_DUE
            if rules[f.HAS_MISSILES] and stats[f.FLIGHT, u] > 0.0:
                whole[f.HIT_IN, b, u] = max(1, int(math.ceil(between / stats[f.FLIGHT, u])))
                whole[f.HIT_AT, b, u] = target
            else:
                attack(battle, b, u, target)


@lean_kernel
def attack(battle, b, u, target):
    """An attack lands: one hit and perhaps a later one, a beam, or a burst. Writes: units."""
    traits, pairs, whole = battle.traits, battle.pairs, battle.whole
    if traits[f.WEAPON, u] == BEAM:
        sweep_beam(battle, b, u, target)
    elif traits[f.WEAPON, u] == BURST:
        burst(battle, b, u)
    else:
        hurt(battle, b, u, target, pairs[f.DAMAGE, u, target])
        if traits[f.HITS, u] > 1:
            whole[f.HIT_IN, b, u] = traits[f.HIT_GAP, u]
            whole[f.HIT_AT, b, u] = target


@lean_kernel
def sweep_beam(battle, b, u, target):
    """Both beams on everybody whose rim lies in the strip across the line of fire. Writes: units."""
    stats, traits, pairs, real, whole = battle.stats, battle.traits, battle.pairs, battle.real, battle.whole
    between = max(distance(battle, b, u, target), 1e-9)
    along_x = (real[f.X, b, target] - real[f.X, b, u]) / between
    along_y = (real[f.Y, b, target] - real[f.Y, b, u]) / between
    for v in range(real.shape[2]):
        if whole[f.ALIVE, b, v] == 0 or pairs[f.CAN_HIT, u, v] == 0:
            continue
        dx = real[f.X, b, v] - real[f.X, b, target]
        dy = real[f.Y, b, v] - real[f.Y, b, target]
        along = abs(dx * along_x + dy * along_y)
        across = abs(dy * along_x - dx * along_y)
        if across <= BEAM_LENGTH / 2 + stats[f.RADIUS, v] and along <= BEAM_WIDTH / 2 + stats[f.RADIUS, v]:
            for _ in range(traits[f.HITS, u]):
                hurt(battle, b, u, v, pairs[f.DAMAGE, u, v])


@lean_kernel
def burst(battle, b, u):
    """It dies and hurts every enemy on the ground whose rim is near. Writes: units."""
    stats, pairs, real, whole = battle.stats, battle.pairs, battle.real, battle.whole
    for v in range(real.shape[2]):
        if whole[f.ALIVE, b, v] == 1 and pairs[f.CAN_HIT, u, v] == 1:
            if distance(battle, b, u, v) <= BURST_RADIUS + stats[f.RADIUS, v]:
                hurt(battle, b, u, v, pairs[f.DAMAGE, u, v])
    real[f.HEALTH, b, u] = 0.0


@lean_kernel
def hurt(battle, b, u, v, damage):
    """One hit of u on v: the shield takes it whole, health takes the rest less armor. Writes: units."""
    stats, real, whole = battle.stats, battle.real, battle.whole
    if real[f.SHIELD, b, v] > 0.0:
        rest = max(damage - real[f.SHIELD, b, v] - stats[f.ARMOR, v], 0.0)
        real[f.SHIELD, b, v] = max(real[f.SHIELD, b, v] - damage, 0.0)
    else:
        rest = max(damage - stats[f.ARMOR, v], LEAST_DAMAGE)
    real[f.HEALTH, b, v] -= rest
    whole[f.SHIELD_WAIT, b, v] = SHIELD_DELAY
    whole[f.HURT_BY, b, v] = u
    whole[f.HURT_AGO, b, v] = 0


@lean_kernel
def bury(battle, b):
    """Who has no health left is dead. Writes: units."""
    stats, rules, real, whole = battle.stats, battle.rules, battle.real, battle.whole
    for u in range(real.shape[2]):
        if whole[f.ALIVE, b, u] == 0 or real[f.HEALTH, b, u] > 0.0:
            continue
        whole[f.ALIVE, b, u] = 0
        real[f.HEALTH, b, u] = 0.0
        real[f.SHIELD, b, u] = 0.0
        real[f.ENERGY, b, u] = 0.0
        real[f.COOLDOWN, b, u] = 0.0
        whole[f.ORDER, b, u] = IDLE
        whole[f.TARGET, b, u] = NOBODY
        whole[f.SWING_IN, b, u] = NOT_DUE
        if not (rules[f.HAS_MISSILES] and stats[f.FLIGHT, u] > 0.0):
            whole[f.HIT_IN, b, u] = NOT_DUE
