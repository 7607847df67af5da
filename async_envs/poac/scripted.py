# mypy: disallow-untyped-defs=False
"""Scripted teams that play the agents: for sanity measurements, tests and as yardsticks. They pick from the
same masks.

    team = ScriptedTeam(simulator, "focus")
    simulator.reset(seeds)
    simulator.step(team.act())
"""

import numpy as np

from async_envs.core.errors import unknown_name
from async_envs.core.seeding import next_below
from async_envs.core.simulator import CONTINUE, NOOP
from async_envs.poac.constants import (
    ATTACK,
    BLUE,
    BOT_NAMES,
    CHARIOT,
    GUIDED_ATTACK,
    INFANTRY,
    KAI2,
    N_ACTIONS,
    N_AGENTS,
    N_ENEMIES,
    OUT_OF_REACH,
    RED,
    STOP,
)
from async_envs.core.compile import lean_kernel
from async_envs.poac.opponents import command, forget, hunting_goal, step_towards
from async_envs.poac.simulator import PoacSimulator, make_memory
from async_envs.poac.sniper import plan
from async_envs.poac.types import Memory, unflatten

TEAM_NAMES = BOT_NAMES + ("random", "wait", "focus", "sniper", "spotters")
RANDOM, WAIT, FOCUS, SNIPER, SPOTTERS = 3, 4, 5, 6, 7
_GATHER, _FIRE, _HUNT = 0, 1, 2  # phases of the sniper
_PATIENCE = 60  # steps at the firing cell without a target after which the sniper hunts
_OWN_STREAM = 0x5C121B7ED7EA3A5D  # keeps the team's draws apart from the episode's


class ScriptedTeam:
    """Plays Red in every episode of a simulator.

    KAI0, KAI1, KAI2: the built-in bots on the other side. random: uniform over the masks. wait: stands and
    shoots. focus: gathers at the chariot's start and fires at the weakest. sniper: tank and chariot fire from
    the hidden cell that the fewest likely posts of the bot see (sniper.py). spotters: the infantry comes
    along; what the chariot sees from there it can shoot at by guidance only.
    """

    def __init__(self, simulator: PoacSimulator, name: str):
        if name not in TEAM_NAMES:
            raise ValueError(unknown_name("ScriptedTeam", "team", name, TEAM_NAMES))
        batch_size = simulator.batch_size
        self._simulator = simulator
        self._kind = TEAM_NAMES.index(name)
        self._actions = np.zeros((batch_size, N_AGENTS), np.int64)
        self._streams = np.zeros(batch_size, np.uint64)
        board = simulator.world.board
        cells = np.zeros(2, np.int32)  # gathering cell, firing cell
        way = np.zeros(len(board.hidden), np.int32)  # next cell on the way to the firing cell
        if self._kind >= SNIPER:
            cells[0], cells[1], way = plan(board, simulator.world.rules.bot)
        phase, idle = np.zeros(batch_size, np.int32), np.zeros(batch_size, np.int32)
        memory = make_memory(batch_size)
        self._fields = (self._actions, self._kind, cells, way, phase, idle, self._streams, *memory)

    def act(self) -> np.ndarray:
        """[B, 3] int64: what the team does now; our own buffer, to be handed to `step`."""
        world = self._simulator.world
        if self._kind == RANDOM:
            play_randomly(self._actions, self._streams, world.streams, world.out.t, world.out.avail_actions)
        else:
            play(*self._fields, *self._simulator.fields)
        return self._actions


@lean_kernel
def play(actions, kind, cells, way, phase, idle, streams, post, alarm, waypoint, blind, start, *fields):
    """The actions of Red in every running episode. Writes: everything that is not in `fields`, and
    world.orders.
    """
    world = unflatten(fields)
    memory = Memory(post, alarm, waypoint, blind, start)
    for b in range(actions.shape[0]):
        if world.out.terminated[b] or world.out.truncated[b]:
            continue
        if world.out.t[b] == 0:
            streams[b] = world.streams[b] ^ np.uint64(_OWN_STREAM)
            forget(world.units, memory, RED, b)
            forget(world.units, memory, BLUE, b)
            phase[b], idle[b] = _GATHER, 0
        if kind <= KAI2:
            command(
                world.board,
                world.rules,
                world.units,
                world.sight,
                memory,
                streams,
                world.orders,
                kind,
                RED,
                b,
            )
        elif kind >= SNIPER:
            change_phase(world.units, world.sight, world.tally, kind, cells, phase, idle, b)
        for i in range(N_AGENTS):
            if kind <= KAI2:
                actions[b, i] = world.orders[b, i]
            else:
                actions[b, i] = play_agent(world, memory, kind, cells, way, phase, streams, b, i)


@lean_kernel
def play_randomly(actions, streams, episode_streams, t, avail_actions):
    """Uniform over the masks, also in episodes that are over. Writes: actions, streams."""
    for b in range(actions.shape[0]):
        if t[b] == 0:
            streams[b] = episode_streams[b] ^ np.uint64(_OWN_STREAM)
        for i in range(N_AGENTS):
            actions[b, i] = draw_action(avail_actions, streams, b, i)


@lean_kernel
def draw_action(avail_actions, streams, b, i):
    """One of the available actions, uniformly. Writes: streams[b]."""
    n_available = 0
    for action in range(N_ACTIONS):
        n_available += avail_actions[b, i, action]
    skip = next_below(streams, b, n_available)
    for action in range(N_ACTIONS):
        if avail_actions[b, i, action]:
            if skip == 0:
                return action
            skip -= 1
    return NOOP


@lean_kernel
def play_agent(world, memory, kind, cells, way, phase, streams, b, i):
    """The action of one agent of the teams wait, focus and sniper. Writes: memory.waypoint, streams[b]."""
    avail_actions, units = world.out.avail_actions, world.units
    if avail_actions[b, i, NOOP]:
        return NOOP
    if avail_actions[b, i, CONTINUE]:
        return CONTINUE
    shot = shot_at_weakest(avail_actions, units, b, i)
    comes_along = kind >= SNIPER and (kind == SPOTTERS or i != INFANTRY)
    is_on_the_way = comes_along and phase[b] == _FIRE and units.cell[b, i] != cells[1]
    if shot != NOOP and not is_on_the_way:
        return shot
    if kind == WAIT or (has_target(world.sight, b, i) and not is_on_the_way):
        return STOP
    if kind == FOCUS:
        goal = memory.start[b, RED]
    elif phase[b] == _HUNT and comes_along:
        goal = hunting_goal(world.board, units, world.sight, memory, streams, b, i)
    elif phase[b] == _FIRE and comes_along:
        goal = way[units.cell[b, i]]
    else:
        goal = cells[0]
    return step_towards(world.board, units, streams, goal, b, i)


@lean_kernel
def has_target(sight, b, i):
    """Whether an enemy is in reach, timers apart."""
    for enemy in range(N_ENEMIES):
        if sight.reach[b, i, enemy] != OUT_OF_REACH:
            return True
    return False


@lean_kernel
def shot_at_weakest(avail_actions, units, b, i):
    """The available shot at the enemy with the least blood, or noop."""
    best, shot = 1 << 30, NOOP
    for enemy in range(N_ENEMIES):
        for first in (ATTACK, GUIDED_ATTACK):
            if avail_actions[b, i, first + enemy] and units.blood[b, N_AGENTS + enemy] < best:
                best, shot = units.blood[b, N_AGENTS + enemy], first + enemy
    return shot


@lean_kernel
def change_phase(units, sight, tally, kind, cells, phase, idle, b):
    """The sniper gathers, then fires, then hunts if there is nothing to fire at. Writes: phase[b],
    idle[b].
    """
    first = INFANTRY if kind == SPOTTERS else CHARIOT
    if phase[b] == _GATHER:
        is_ready = True
        for i in range(first, N_AGENTS):
            is_ready &= units.blood[b, i] == 0 or (units.cell[b, i] == cells[0] and units.busy[b, i] == 0)
        if is_ready:
            phase[b] = _FIRE
    elif phase[b] == _FIRE:
        is_idle = tally.lost[b, BLUE] <= tally.lost[b, RED]
        for i in range(first, N_AGENTS):
            is_idle &= not has_target(sight, b, i)
        idle[b] = idle[b] + 1 if is_idle else 0
        if idle[b] > _PATIENCE:
            phase[b] = _HUNT
