"""The named tasks. README.md tells each in words, with its optimal return by hand."""

import numpy as np

from async_envs.tabular.task import TabularTask, make_task

CLIMBING_MATRIX = ((11.0, -30.0, 0.0), (-30.0, 7.0, 6.0), (0.0, 0.0, 5.0))  # Claus and Boutilier, AAAI 1998
CLIMBING_DURATIONS = (3, 2, 1)  # steps of a, b, c
CLIMBING_STEPS = 6

RELAY_STEPS = 4  # of the starter's run
RELAY_CATCH, RELAY_WRONG_LANE, RELAY_DROP = 10.0, 2.0, -5.0


def payoff(a: float = 1.0, b: float = 2.0, shown: bool = False) -> TabularTask:
    """The sequential payoff game of the MVD paper's Figure 9 (arXiv:2408.03692v2): row first, then column.

    At step 0 the row (agent 0) chooses a or b, which takes two steps; the column (agent 1) can only wait. At
    step 1 the column chooses; the team gets value(row) * value(column) and the game is over.

    Args:
        a, b: the values of the two actions.
        shown: True: the row's choice is in the column's observation and in the state; False: in neither.
    """
    if shown:  # states: start, row chose a, row chose b, over; the observation is the state
        seconds, over = (1, 2), 3
    else:  # states: start, second step, over
        seconds, over = (1, 1), 2
    n_actions, wait = 3, 2
    transitions = np.zeros((over + 1, 6, 6, over + 1))
    rewards = np.zeros((over + 1, 6, 6))
    transitions[..., over] = 1.0
    for choice, second in enumerate(seconds):
        transitions[0, choice, :] = np.eye(over + 1)[second]
    for row, row_value in enumerate((a, b)):
        for column, column_value in enumerate((a, b)):
            rewards[1:over, n_actions + row, n_actions + column] = row_value * column_value
    available = np.ones((over + 1, 2, n_actions), np.bool_)
    available[:, 0, wait] = False
    available[0, 1, :wait] = False
    available[1:, 1, wait] = False
    states = np.arange(over + 1)
    return make_task(
        "async:tabular-payoff",
        transitions=transitions,
        rewards=rewards,
        durations=[[2, 2, 1], [1, 1, 1]],
        observations=np.stack([np.minimum(states, 1) + (states == over), states], axis=1),
        start=0,
        episode_limit=2,
        terminal=states == over,
        available=available,
        state_is_shown=shown,
        action_names=("a", "b", "wait"),
    )


def climbing() -> TabularTask:
    """A climbing game of six steps; the matrix pays in every step what both are doing in it."""
    over = CLIMBING_STEPS
    transitions = np.zeros((over + 1, 3, 3, over + 1))
    rewards = np.zeros((over + 1, 3, 3))
    for step in range(over):
        transitions[step, :, :, step + 1] = 1.0
        rewards[step] = CLIMBING_MATRIX
    states = np.arange(over + 1)
    return make_task(
        "async:tabular-climbing",
        transitions=transitions,
        rewards=rewards,
        durations=[CLIMBING_DURATIONS] * 2,
        observations=np.stack([states, states], axis=1),
        start=0,
        episode_limit=over,
        terminal=states == over,
        action_names=("a", "b", "c"),
    )


def relay() -> TabularTask:
    """A relay: the starter runs in a lane for four steps, the receiver reaches out in the last two.

    States: 0, 1 the cue (left, right); 2 + 2 * cue + lane while the runner is out of view (step 1); four more
    from there on while it is in view (steps 2 and 3); the last is over.
    """
    wait, n_actions = 2, 3  # after left and right, 0 and 1
    out_of_view, in_view, over = 2, 6, 10
    transitions = np.zeros((over + 1, 6, 6, over + 1))
    rewards = np.zeros((over + 1, 6, 6))
    observations = np.zeros((over + 1, 2), np.int64)  # 0 nothing, 1 left, 2 right
    available = np.zeros((over + 1, 2, n_actions), np.bool_)
    available[:, 0, :wait] = True  # the starter runs
    available[:, 1, wait] = True  # the receiver waits …
    available[in_view:over, 1] = [True, True, False]  # … until the runner is in view
    transitions[..., over] = 1.0
    for cue in range(2):
        observations[cue, 0] = 1 + cue
        for lane in range(2):
            pair = 2 * cue + lane
            far, near = out_of_view + pair, in_view + pair
            transitions[cue, lane] = np.eye(over + 1)[far]
            transitions[far] = np.eye(over + 1)[near]
            transitions[near, :, :n_actions] = np.eye(over + 1)[near]  # the receiver is still reaching out
            observations[near, 1] = 1 + lane
            rewards[near, :, n_actions: n_actions + wait] = RELAY_DROP
            rewards[near, :, n_actions + lane] = RELAY_CATCH if lane == cue else RELAY_WRONG_LANE
    return make_task(
        "async:tabular-relay",
        transitions=transitions,
        rewards=rewards,
        durations=[[RELAY_STEPS, RELAY_STEPS, 1], [2, 2, 1]],
        observations=observations,
        start=np.array([0.5, 0.5] + [0.0] * (over - 1)),
        episode_limit=RELAY_STEPS,
        terminal=np.arange(over + 1) == over,
        available=available,
        action_names=("left", "right", "wait"),
    )


def of_payoff(a: float, b: float, shown: bool) -> tuple[TabularTask, float]:
    """The game and its best return."""
    return payoff(a, b, shown), max(a * a, a * b, b * b)


def of_climbing() -> tuple[TabularTask, float]:
    """The game and its best return."""
    return climbing(), CLIMBING_MATRIX[0][0] * CLIMBING_STEPS


def of_relay() -> tuple[TabularTask, float]:
    """The task and its best return."""
    return relay(), RELAY_CATCH
