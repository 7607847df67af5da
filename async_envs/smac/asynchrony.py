# mypy: disallow-untyped-defs=False
"""The asynchronous layer, the same for every backend: what agents submit, what the units are told.

A move is owed for its agent's duration and is told again at each step, from wherever the unit is by then; the
agent can only `continue` meanwhile. Blocked ground makes the unit stop (and wait, or be free again), death ends
everything. Stop, attack and heal take one step.

Two numberings. SMAC's: 0 is no-op, 1 stop, 2-5 move, 6+ attack; a busy living agent's only action is 0. Ours:
0 `noop` (dead), 1 `continue` (busy), every other action one higher than SMAC's. The kernels below work in
SMAC's; `smac_of` and `ours_of` join the two.
"""

from typing import Sequence

import numpy as np

from async_envs.core.compile import lean_kernel
from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP
from async_envs.smac.constants import ATTACK, BY_TYPE, MOVE, N_DIRECTIONS, NO_ACTION, NOBODY, STOP
from async_envs.smac.types import Clocks

N_DURATIONS = "{key}: durations has {given} numbers for {expected} agents. Give one for each agent."


@lean_kernel
def smac_of(action):
    """SMAC's number of one of our actions."""
    return NO_ACTION if action < FIRST_ACTION else action - 1


@lean_kernel
def ours_of(action, is_busy):
    """Our number of a SMAC action; of 0, by whether the agent is busy or dead."""
    if action == NO_ACTION:
        return CONTINUE if is_busy else NOOP
    return action + 1


@lean_kernel
def forget_moves(clocks, b):
    """A fresh episode: nobody owes anything, nothing has been done. Writes: clocks."""
    for i in range(clocks.left.shape[1]):
        clocks.left[b, i] = 0
        clocks.move[b, i] = NO_ACTION
        clocks.executed[b, i] = NO_ACTION
        clocks.shown[b, i] = NOBODY


@lean_kernel
def execute(clocks, submitted, is_compatible, is_cancelling, records_submitted, b):
    """What each unit is told in this step; `submitted` [B, N] are legal.

    Writes: clocks.executed (SMAC's numbers), clocks.left (this step still included), clocks.move, clocks.shown.
    """
    for i in range(clocks.left.shape[1]):
        action = submitted[b, i] if is_compatible else smac_of(submitted[b, i])
        clocks.shown[b, i] = action
        if clocks.left[b, i] > 0:
            action = clocks.move[b, i]
            if clocks.physical[b, i, action] == 0:  # blocked: stand for this step
                action = STOP
                if is_cancelling:
                    clocks.left[b, i] = 1
        elif MOVE <= action < MOVE + N_DIRECTIONS:
            clocks.left[b, i] = clocks.duration[i]
            clocks.move[b, i] = action
        clocks.executed[b, i] = action
        if not records_submitted:
            clocks.shown[b, i] = action


@lean_kernel
def pass_step(clocks, alive, is_terminated, b):
    """One step has passed; the dead owe nothing, nor does anybody once the battle is over.

    At a cut-off moves stay owed: values are bootstrapped from the last status. Writes: clocks.left, clocks.move.
    """
    for i in range(clocks.left.shape[1]):
        if clocks.left[b, i] > 0:
            clocks.left[b, i] -= 1
        if alive[b, i] == 0 or is_terminated:
            clocks.left[b, i] = 0
        if clocks.left[b, i] == 0:
            clocks.move[b, i] = NO_ACTION


@lean_kernel
def show_mask(clocks, alive, avail_actions, is_compatible, b):
    """What each agent may choose now. Writes: avail_actions[b]."""
    for i in range(clocks.left.shape[1]):
        row = avail_actions[b, i]
        for action in range(row.shape[0]):
            row[action] = 0
        if alive[b, i] == 0:
            row[NOOP] = 1
        elif clocks.left[b, i] > 0:
            row[NO_ACTION if is_compatible else CONTINUE] = 1
        else:
            shift = 0 if is_compatible else 1
            for action in range(STOP, clocks.physical.shape[2]):
                row[action + shift] = clocks.physical[b, i, action]


@lean_kernel
def execute_batch(submitted, is_compatible, is_cancelling, records_submitted, *fields):
    """`execute` for every episode; `fields` are those of Clocks, as they are for the two kernels below."""
    clocks = Clocks(*fields)
    for b in range(submitted.shape[0]):
        execute(clocks, submitted, is_compatible, is_cancelling, records_submitted, b)


@lean_kernel
def pass_step_batch(alive, terminated, avail_actions, is_compatible, *fields):
    """`pass_step` and `show_mask` for every episode."""
    clocks = Clocks(*fields)
    for b in range(alive.shape[0]):
        pass_step(clocks, alive, terminated[b], b)
        show_mask(clocks, alive, avail_actions, is_compatible, b)


@lean_kernel
def forget_batch(alive, avail_actions, is_compatible, *fields):
    """`forget_moves` and `show_mask` for every episode."""
    clocks = Clocks(*fields)
    for b in range(alive.shape[0]):
        forget_moves(clocks, b)
        show_mask(clocks, alive, avail_actions, is_compatible, b)


def check_durations(key: str, chosen: str | Sequence[int], n_agents: int) -> None:
    """Refuse a list that does not fit the agents.

    Raises:
        ValueError: not one number for each; one line.
    """
    if not isinstance(chosen, str) and len(chosen) != n_agents:
        raise ValueError(N_DURATIONS.format(key=key, given=len(chosen), expected=n_agents))


def make_durations(chosen: str | Sequence[int], unit_names: Sequence[str]) -> np.ndarray:
    """[N] int32: the steps that a move takes each agent.

    Args:
        chosen: a rule of `family.DURATION_RULES`, or N numbers.
        unit_names: the type of each agent, in the order of the backend that plays.
    """
    if not isinstance(chosen, str):
        return np.array(chosen, np.int32)
    n = len(unit_names)
    agents = np.arange(n)
    steps = {
        "index_mod3": 1 + agents % 3,
        "by_type": [BY_TYPE.get(name, 1) for name in unit_names],
        "blocks": 1 + 3 * agents // n,
        "all_one": np.ones(n),
    }[chosen]
    return np.array(steps, np.int32)


def action_names(n_targets: int, is_compatible: bool) -> tuple[str, ...]:
    """The names of the actions, in our numbering or in SMAC's."""
    own: tuple[str, ...] = ("stop", "move-north", "move-south", "move-east", "move-west")
    own += tuple(f"attack-{target}" for target in range(n_targets))
    assert len(own) == ATTACK - STOP + n_targets
    return (("no-op",) if is_compatible else ("noop", "continue")) + own
