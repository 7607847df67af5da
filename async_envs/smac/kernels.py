# mypy: disallow-untyped-defs=False
"""The rules of asynchronous SMAC: one episode per function, `step_batch` as the table of contents. README.md
holds the rules in words. What agents see is written by `show_batch`, a kernel of its own so that it is compiled
once for reset and step.
"""

from async_envs.core.compile import lean_kernel
from async_envs.core.seeding import next_float
from async_envs.smac import fields as f
from async_envs.smac.asynchrony import execute, forget_moves, pass_step, show_mask
from async_envs.smac.combat import bury, heal, land_hits, run_timers, start_attacks
from async_envs.smac.constants import (
    ATTACK,
    ENERGY_START,
    GRUDGE_KEPT,
    HEAL,
    HEALER,
    HUNT,
    IDLE,
    LOOPS_PER_STEP,
    MOVE,
    MOVE_AMOUNT,
    NOBODY,
    NOT_DUE,
    STEP_X,
    STEP_Y,
    STOP,
    STRIKE,
    TEND,
    WALK,
)
from async_envs.smac.movement import march, separate
from async_envs.smac.observation import look, observe_agent, observe_state
from async_envs.smac.opponents import choose_targets
from async_envs.smac.types import unflatten
from async_envs.smac.walls import shift


@lean_kernel
def step_batch(actions, *fields):
    """One step of every running episode, in the order of the rule book. `fields`: a world, flattened.

    Writes: battle, clocks, out.reward, terminated, truncated, t, metrics; out.is_news.
    """
    battle, ground, clocks, out, streams = unflatten(fields)
    rules, alive = battle.rules, battle.whole[f.ALIVE]
    for b in range(actions.shape[0]):
        out.reward[b] = 0.0
        out.is_news[b] = False
        if out.terminated[b] or out.truncated[b]:
            continue
        execute(
            clocks, actions, rules[f.IS_COMPATIBLE], rules[f.IS_CANCELLING], rules[f.RECORDS_SUBMITTED], b
        )
        give_orders(battle, clocks, b)
        for _ in range(LOOPS_PER_STEP):
            pass_loop(battle, ground, streams, b)
        out.t[b] += 1
        out.reward[b] = settle(battle, out, b)
        pass_step(clocks, alive, out.terminated[b], b)
        out.is_news[b] = True


@lean_kernel
def pass_loop(battle, ground, streams, b):
    """One game loop. Writes: battle."""
    run_timers(battle, b)
    choose_targets(battle, b)
    start_attacks(battle, streams, b)
    march(battle, ground, b)
    separate(battle, ground, b)
    heal(battle, b)
    land_hits(battle, b)
    bury(battle, b)


@lean_kernel
def begin_batch(seeds, where, *fields):
    """Start the episodes of the mask `where`. `fields`: a world, flattened.

    Writes: battle, clocks, streams; out.is_news.
    """
    battle, ground, clocks, out, streams = unflatten(fields)
    for b in range(where.shape[0]):
        out.is_news[b] = where[b]
        if not where[b]:
            continue
        streams[0, b] = seeds[b]
        streams[1, b] = seeds[b]
        deploy(battle, ground, streams, b)
        forget_moves(clocks, b)


@lean_kernel
def show_batch(*fields):
    """Availability, observations and state of the episodes with news. `fields`: a world, flattened.

    Writes: clocks.physical, out.obs, out.state, out.avail_actions.
    """
    battle, ground, clocks, out, streams = unflatten(fields)
    rules = battle.rules
    for b in range(out.is_news.shape[0]):
        if not out.is_news[b]:
            continue
        look(battle, ground, clocks.physical, b)
        show_mask(clocks, battle.whole[f.ALIVE], out.avail_actions, rules[f.IS_COMPATIBLE], b)
        for i in range(rules[f.N_AGENTS]):
            observe_agent(battle, ground, clocks, out.t, out.obs, b, i)
        observe_state(battle, ground, clocks, out, b)


@lean_kernel
def deploy(battle, ground, streams, b):
    """Every unit fresh in its place, the enemy under its order. Writes: units, streams (spawn_jitter only)."""
    stats, traits, real, whole = battle.stats, battle.traits, battle.real, battle.whole
    for u in range(real.shape[2]):
        real[f.X, b, u] = stats[f.START_X, u]
        real[f.Y, b, u] = stats[f.START_Y, u]
        real[f.HEALTH, b, u] = stats[f.MAX_HEALTH, u]
        real[f.SHIELD, b, u] = stats[f.MAX_SHIELD, u]
        real[f.ENERGY, b, u] = ENERGY_START if traits[f.WEAPON, u] == HEALER else 0.0
        whole[f.ALIVE, b, u] = 1
        real[f.COOLDOWN, b, u] = 0.0
        whole[f.SHIELD_WAIT, b, u] = 0
        whole[f.ORDER, b, u] = IDLE
        if u >= battle.rules[f.N_AGENTS]:
            whole[f.ORDER, b, u] = TEND if traits[f.WEAPON, u] == HEALER else HUNT
        whole[f.TARGET, b, u] = NOBODY
        real[f.GOAL_X, b, u] = stats[f.START_X, u]
        real[f.GOAL_Y, b, u] = stats[f.START_Y, u]
        real[f.PACE, b, u] = 1.0
        real[f.VELOCITY, b, u] = 0.0
        whole[f.SWING_IN, b, u] = NOT_DUE
        whole[f.SWING_AT, b, u] = 0
        whole[f.HIT_IN, b, u] = NOT_DUE
        whole[f.HIT_AT, b, u] = 0
        whole[f.HURT_BY, b, u] = NOBODY
        whole[f.HURT_AGO, b, u] = GRUDGE_KEPT + 1
        whole[f.ARRIVED, b, u] = 0
        whole[f.SHOTS, b, u] = 0
        real[f.BEFORE, b, u] = stats[f.MAX_HEALTH, u] + stats[f.MAX_SHIELD, u]
        whole[f.WAS_ALIVE, b, u] = 1
    if battle.scales[f.SPAWN_JITTER] > 0.0:
        scatter(battle, ground, streams[0], b)


@lean_kernel
def scatter(battle, ground, streams, b):
    """Every unit is moved a little; agents of one kind keep their order from west to east. Writes: x, y."""
    traits, real, most = battle.traits, battle.real, battle.scales[f.SPAWN_JITTER]
    for u in range(real.shape[2]):
        dx = (2.0 * next_float(streams, b) - 1.0) * most
        dy = (2.0 * next_float(streams, b) - 1.0) * most
        if traits[f.IS_STRUCTURE, u] == 0:
            shift(battle, ground, b, u, real[f.X, b, u] + dx, real[f.Y, b, u] + dy)
    for i in range(1, battle.rules[f.N_AGENTS]):  # insertion sort by (x, y) within a kind
        j = i
        while j > 0 and traits[f.KIND, j - 1] == traits[f.KIND, j] and is_before(battle, b, j, j - 1):
            real[f.X, b, j], real[f.X, b, j - 1] = real[f.X, b, j - 1], real[f.X, b, j]
            real[f.Y, b, j], real[f.Y, b, j - 1] = real[f.Y, b, j - 1], real[f.Y, b, j]
            j -= 1


@lean_kernel
def is_before(battle, b, u, v):
    """Whether u stands west of v, or south of it on one line."""
    real = battle.real
    return real[f.X, b, u] < real[f.X, b, v] or (
        real[f.X, b, u] == real[f.X, b, v] and real[f.Y, b, u] < real[f.Y, b, v]
    )


@lean_kernel
def give_orders(battle, clocks, b):
    """Executed actions become the agents' orders, in place of older ones. Writes: units.

    An attack that has begun is lost unless the new order is the same attack.
    """
    traits, pairs, rules, real, whole = battle.traits, battle.pairs, battle.rules, battle.real, battle.whole
    for i in range(rules[f.N_AGENTS]):
        action = clocks.executed[b, i]
        if whole[f.ALIVE, b, i] == 0:
            continue
        if action >= ATTACK:
            is_healer = traits[f.WEAPON, i] == HEALER
            target = action - ATTACK if is_healer else rules[f.N_AGENTS] + action - ATTACK
            whole[f.TARGET, b, i] = target
            whole[f.ORDER, b, i] = HEAL if is_healer else STRIKE
            if not is_healer and pairs[f.CAN_HIT, i, target] == 0:
                whole[f.ORDER, b, i] = IDLE  # the game refuses the order
                whole[f.TARGET, b, i] = NOBODY
            real[f.PACE, b, i] = 1.0
            if whole[f.SWING_AT, b, i] != whole[f.TARGET, b, i]:
                whole[f.SWING_IN, b, i] = NOT_DUE
            continue
        whole[f.TARGET, b, i] = NOBODY
        whole[f.SWING_IN, b, i] = NOT_DUE
        whole[f.ORDER, b, i] = IDLE
        if action > STOP:
            whole[f.ORDER, b, i] = WALK
            real[f.PACE, b, i] = 1.0 / clocks.duration[i] if rules[f.IS_SCALED] else 1.0
            real[f.GOAL_X, b, i] = real[f.X, b, i] + MOVE_AMOUNT * STEP_X[action - MOVE]
            real[f.GOAL_Y, b, i] = real[f.Y, b, i] + MOVE_AMOUNT * STEP_Y[action - MOVE]


@lean_kernel
def settle(battle, out, b):
    """The step's reward and the episode's end. Returns the reward. Writes: out, before, was_alive."""
    rules, scales, real = battle.rules, battle.scales, battle.real
    n_allies, n_allied_fighters = count_living(battle, 0, rules[f.N_AGENTS], b)
    n_enemies, n_enemy_fighters = count_living(battle, rules[f.N_AGENTS], real.shape[2], b)
    is_lost = n_allies == 0 and n_enemies > 0
    is_won = n_allies > 0 and n_enemies == 0
    if rules[f.HAS_MEDIVAC_RULE]:
        is_lost = is_lost or n_allied_fighters == 0
        is_won = is_won or (n_enemies == 1 and n_enemy_fighters == 0)
    is_won = is_won and not is_lost
    reward = battle_reward(battle, b)
    if rules[f.IS_SPARSE]:
        reward = 0.0
        if is_won or is_lost:
            reward = 1.0 if is_won else -1.0
    elif is_won:
        reward += scales[f.WIN]
    elif is_lost:
        reward += scales[f.DEFEAT]

    is_over = is_won or is_lost or (n_allies == 0 and n_enemies == 0)
    is_late = not is_over and out.t[b] >= rules[f.EPISODE_LIMIT]
    out.terminated[b] = is_over or (is_late and rules[f.ENDS_AT_LIMIT])
    out.truncated[b] = is_late and not rules[f.ENDS_AT_LIMIT]
    if is_over or is_late:
        out.metrics[0, b] = is_won
        out.metrics[1, b] = rules[f.N_AGENTS] - n_allies
        out.metrics[2, b] = rules[f.N_ENEMIES] - n_enemies
    return reward / scales[f.REWARD_DIVISOR]


@lean_kernel
def count_living(battle, first, last, b):
    """Living units among first … last - 1, and how many of them are no healers."""
    traits, whole = battle.traits, battle.whole
    n_living, n_fighters = 0, 0
    for u in range(first, last):
        if whole[f.ALIVE, b, u] == 1:
            n_living += 1
            n_fighters += traits[f.WEAPON, u] != HEALER
    return n_living, n_fighters


@lean_kernel
def battle_reward(battle, b):
    """What the enemy lost in health and shield, and for each that fell; less the agents' losses if asked for.

    Writes: before, was_alive.
    """
    rules, scales, real, whole = battle.rules, battle.scales, battle.real, battle.whole
    dealt, suffered = 0.0, 0.0
    for u in range(real.shape[2]):
        if whole[f.WAS_ALIVE, b, u] == 0:
            continue
        lost = real[f.BEFORE, b, u]
        if whole[f.ALIVE, b, u] == 1:
            real[f.BEFORE, b, u] = real[f.HEALTH, b, u] + real[f.SHIELD, b, u]
            lost -= real[f.BEFORE, b, u]
        else:
            real[f.BEFORE, b, u] = 0.0
            whole[f.WAS_ALIVE, b, u] = 0
            lost += scales[f.DEATH_VALUE]
        if u < rules[f.N_AGENTS]:
            suffered += lost
        else:
            dealt += lost
    return abs(dealt) if rules[f.IS_ONLY_POSITIVE] else dealt - scales[f.NEGATIVE_SCALE] * suffered
