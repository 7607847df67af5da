"""The rules of a tabular task: one episode per function, `step_batch` as the table of contents. See
README.md.
"""

import numpy as np

from async_envs.core.compile import lean_kernel
from async_envs.core.seeding import next_float
from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP
from async_envs.tabular.types import NO_ACTION, unflatten


@lean_kernel
def step_batch(actions, *fields):
    """One step of every running episode, in the order of the README. Writes: everything but the tables."""
    tables, now, out = unflatten(fields)
    for b in range(actions.shape[0]):
        out.reward[b] = 0.0
        if out.terminated[b] or out.truncated[b]:
            continue
        begin_actions(tables, now, actions, b)
        pay_and_move(tables, now, out, b)
        end_actions(tables, now, b)
        settle(tables, now, out, b)
        observe(tables, now, b)
        show(tables, now, out, b)


@lean_kernel
def begin_batch(seeds, where, *fields):
    """Start the episodes of the mask `where`. Writes: everything but the tables and the flags."""
    tables, now, out = unflatten(fields)
    for b in range(where.shape[0]):
        if not where[b]:
            continue
        now.streams[b] = seeds[b]
        now.state[b] = draw(tables.start, 0, now.streams, b)
        now.gathered[b] = 0.0
        now.discounted[b] = 0.0
        now.weight[b] = 1.0
        for i in range(now.left.shape[1]):
            now.action[b, i] = NO_ACTION
            now.left[b, i] = 0
        observe(tables, now, b)
        show(tables, now, out, b)


@lean_kernel
def draw(sums, row, streams, b):
    """An outcome of `sums[row]`, probabilities summed up. One draw, also of a certain outcome.

    Writes: streams[b].
    """
    chance = next_float(streams, b)
    outcome = 0
    while sums[row, outcome] <= chance:
        outcome += 1
    return outcome


@lean_kernel
def begin_actions(tables, now, actions, b):
    """Deciding agents begin what they chose; one draw each, in agent order, for how long it takes.

    Writes: now.action, now.left, now.streams[b].
    """
    for i in range(actions.shape[1]):
        if actions[b, i] < FIRST_ACTION:
            continue
        action = actions[b, i] - FIRST_ACTION
        now.action[b, i] = action
        now.left[b, i] = draw(tables.durations[i], action, now.streams, b) + 1


@lean_kernel
def pay_and_move(tables, now, out, b):
    """The reward of what all are doing, then the next state; one draw. Writes: now, out.reward."""
    n_actions = tables.durations.shape[1]
    row = now.state[b]
    for i in range(now.left.shape[1]):
        activity = 0
        if now.left[b, i] == 1:
            activity = n_actions + now.action[b, i]
        elif now.left[b, i] > 1:
            activity = now.action[b, i]
        row = row * (2 * n_actions) + activity
    reward = tables.rewards[row]
    out.reward[b] = reward
    now.gathered[b] += reward
    now.discounted[b] += now.weight[b] * reward
    now.weight[b] *= tables.discount
    now.state[b] = draw(tables.next_state, row, now.streams, b)


@lean_kernel
def end_actions(tables, now, b):
    """A step passes; actions end after their last one, or early in the new state.

    Writes: now.action, now.left.
    """
    state = now.state[b]
    for i in range(now.left.shape[1]):
        if now.left[b, i] > 0:
            now.left[b, i] -= 1
        if now.left[b, i] == 0 or tables.ends_action[state, i]:
            now.left[b, i] = 0
            now.action[b, i] = NO_ACTION


@lean_kernel
def settle(tables, now, out, b):
    """The clock, and the end with its metrics. Writes: out.t, .terminated, .truncated, .metrics."""
    out.t[b] += 1
    if tables.terminal[now.state[b]]:
        out.terminated[b] = True
    elif out.t[b] >= tables.episode_limit:
        out.truncated[b] = True
    else:
        return
    out.metrics[0, b] = now.discounted[b]
    if out.metrics.shape[0] > 1:
        slack = 1e-9 * max(1.0, abs(tables.optimum))
        out.metrics[1, b] = 1.0 if now.gathered[b] >= tables.optimum - slack else 0.0


@lean_kernel
def observe(tables, now, b):
    """One draw for each agent, in agent order. Writes: now.seen, now.streams[b]."""
    for i in range(now.seen.shape[1]):
        now.seen[b, i] = draw(tables.observations[now.state[b]], i, now.streams, b)


@lean_kernel
def show(tables, now, out, b):
    """Writes: out.obs, out.state, out.avail_actions."""
    n_agents, n_actions, longest = tables.durations.shape
    n_states, n_seen = tables.terminal.shape[0], tables.observations.shape[2]
    state = now.state[b]
    features = out.state[b]
    for k in range(features.shape[0]):
        features[k] = 0.0
    features[state] = 1.0
    features[features.shape[0] - 1] = np.float32(out.t[b]) / np.float32(tables.episode_limit)
    for i in range(n_agents):
        row = out.obs[b, i]
        for k in range(row.shape[0]):
            row[k] = 0.0
        row[now.seen[b, i]] = 1.0
        show_ongoing(now, longest, n_actions, row, n_seen, b, i)
        if tables.state_is_shown:
            show_ongoing(now, longest, n_actions, features, n_states + i * (n_actions + 1), b, i)
        offer(tables, now, out, b, i)


@lean_kernel
def show_ongoing(now, longest, n_actions, row, at, b, i):
    """The action under way one-hot, then the part of the longest duration that is left. Writes: row[at …]."""
    if now.left[b, i] > 0:
        row[at + now.action[b, i]] = 1.0
        row[at + n_actions] = np.float32(now.left[b, i]) / np.float32(longest)


@lean_kernel
def offer(tables, now, out, b, i):
    """What the agent may choose now. Writes: out.avail_actions[b, i]."""
    row, state = out.avail_actions[b, i], now.state[b]
    for k in range(row.shape[0]):
        row[k] = 0
    if tables.inactive[state, i]:
        row[NOOP] = 1
    elif now.left[b, i] > 0:
        row[CONTINUE] = 1
    else:
        for action in range(row.shape[0] - FIRST_ACTION):
            row[FIRST_ACTION + action] = 1 if tables.available[state, i, action] else 0
