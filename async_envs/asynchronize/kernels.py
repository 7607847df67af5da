"""Durations in numbers: who decides, what each task is told, who is free.

Letters: B episodes, N agents, K actions of the task.
"""

import numpy as np

from async_envs.core.compile import kernel
from async_envs.core.seeding import next_below
from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP

REPEAT, END, START = range(3)
ALL_FINITE = -1
NO_ACTION = -1  # in place of idle


@kernel
def decide_batch(actions, running, steps, jitter, streams, left, taken, ongoing):
    """Take up what was decided: its action and its steps. `steps` [N, K]. Writes: streams, left, taken, ongoing."""
    for b in range(actions.shape[0]):
        if running[b]:
            for i in range(actions.shape[1]):
                action = actions[b, i] - FIRST_ACTION
                if action >= 0:
                    ongoing[b, i] = action
                    taken[b, i] = 0
                    left[b, i] = steps[i, action]
                    if jitter > 0:
                        left[b, i] += next_below(streams, b, jitter + 1)


@kernel
def tell_batch(running, masks, left, taken, ongoing, mode, idle, told):
    """The task's action for each agent in this step, one that its mask allows if that allows any. Writes: told."""
    for b in range(told.shape[0]):
        if running[b]:
            for i in range(told.shape[1]):
                is_doing = mode == REPEAT or (mode == START and taken[b, i] == 0) or (mode == END and left[b, i] == 1)
                told[b, i] = 0
                if left[b, i] > 0 and is_doing and masks[b, i, ongoing[b, i]]:
                    told[b, i] = ongoing[b, i]
                elif idle != NO_ACTION and masks[b, i, idle]:
                    told[b, i] = idle
                else:
                    for action in range(masks.shape[2]):
                        if masks[b, i, action]:
                            told[b, i] = action
                            break


@kernel
def pass_batch(running, terminated, left, taken):
    """One step has passed; where the task has ended nobody owes anything. Writes: left, taken."""
    for b in range(running.shape[0]):
        if running[b]:
            for i in range(left.shape[1]):
                if left[b, i] > 0:
                    left[b, i] -= 1
                    taken[b, i] += 1
                if terminated[b]:
                    left[b, i] = 0


@kernel
def show_batch(where, masks, is_repeating, left, ongoing, longest, obs, state, avail_actions):
    """What each agent may choose; who has left, or repeats what the mask forbids, owes nothing.

    `longest` > 0: steps left stand in parts of it at the end of obs and state. Gives the first episode that shows a
    number that is not finite, or ALL_FINITE. Writes: left, obs, state, avail_actions.
    """
    found = ALL_FINITE
    for b in range(where.shape[0]):
        if where[b]:
            for i in range(left.shape[1]):
                row = avail_actions[b, i]
                is_free = False
                for action in range(masks.shape[2]):
                    is_free |= masks[b, i, action] != 0
                if not is_free or (is_repeating and left[b, i] > 0 and not masks[b, i, ongoing[b, i]]):
                    left[b, i] = 0
                row[NOOP] = not is_free
                row[CONTINUE] = left[b, i] > 0
                for action in range(masks.shape[2]):
                    row[FIRST_ACTION + action] = masks[b, i, action] if left[b, i] == 0 else 0
                if longest > 0:
                    obs[b, i, obs.shape[2] - 1] = left[b, i] / longest
                    state[b, state.shape[1] - left.shape[1] + i] = left[b, i] / longest
                for k in range(obs.shape[2]):
                    if found == ALL_FINITE and not np.isfinite(obs[b, i, k]):
                        found = b
            for k in range(state.shape[1]):
                if found == ALL_FINITE and not np.isfinite(state[b, k]):
                    found = b
    return found
