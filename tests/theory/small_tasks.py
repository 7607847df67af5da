"""Small tasks, in each of which one assumption of the paper's statements can be seen to be needed."""

import numpy as np

from async_envs.tabular.task import TabularTask, make_task

SHORT, LONG = 0, 1  # own actions, where one takes one step and the other more


def staying(n_states: int, n_agents: int, n_actions: int) -> np.ndarray:
    """Transitions [S, A, …, A, S] that leave every state as it is."""
    shape = (n_states, *(n_actions,) * n_agents, n_states)
    return np.broadcast_to(np.eye(n_states).reshape(n_states, *(1,) * n_agents, n_states), shape).copy()


def matrix_game(matrix: list[list[float]], discount: float = 0.5) -> TabularTask:
    """Two agents, one state, one step an action: the team gets matrix[a_0][a_1] again and again."""
    n_actions = len(matrix)
    return make_task(
        "matrix game", transitions=staying(1, 2, n_actions), rewards=[matrix], durations=[[1] * n_actions] * 2,
        observations=[[0, 0]], start=0, episode_limit=10, discount=discount,
    )  # fmt: skip


def row_then_column(matrix: list[list[float]], cue: bool = False, discount: float = 0.5) -> TabularTask:
    """The row's action takes two steps; in its second the column's action pays matrix[row][column].

    States: 0 first step, 1 second step, 2 over. Neither agent sees more than the state, but with `cue` the row
    sees 0 or 1 by chance when it decides.
    """
    n_actions = len(matrix)
    transitions = np.zeros((3, 2 * n_actions, 2 * n_actions, 3))
    transitions[0, ..., 1] = transitions[1, ..., 2] = transitions[2, ..., 2] = 1.0
    rewards = np.zeros((3, 2 * n_actions, 2 * n_actions))
    rewards[1, n_actions:, n_actions:] = matrix
    observations = np.zeros((3, 2, 3))
    observations[0, 0, :2] = (0.5, 0.5) if cue else (1.0, 0.0)
    observations[0, 1, 0] = 1.0
    observations[1:, :, 2] = 1.0
    return make_task(
        "row, then column", transitions=transitions, rewards=rewards, observations=observations,
        durations=[[2] * n_actions, [1] * n_actions], start=0, terminal=[0, 0, 1], episode_limit=5,
        discount=discount,
    )  # fmt: skip


def clock(n_steps: int = 2) -> TabularTask:
    """Agent 0 sees 0 or 1 by chance, then executes for `n_steps`, again and again.

    Meanwhile agents 1 and 2 play, in every step, a game that pays 1/2 for 0 and 0, and 1 for 1 and 1.
    """
    rewards = np.zeros((1, 2, 2, 2))
    rewards[0, :, 0, 0], rewards[0, :, 1, 1] = 0.5, 1.0
    return make_task(
        "clock", transitions=staying(1, 3, 2), rewards=rewards, discount=0.5, episode_limit=10, start=0,
        durations=[[n_steps, n_steps], [1, 1], [1, 1]], available=[[[1, 0], [1, 1], [1, 1]]],
        observations=[[[0.5, 0.5], [1, 0], [1, 0]]],
    )  # fmt: skip


def echo() -> TabularTask:
    """Agent 0 sees 0 or 1 by chance, must execute for two steps, and then gets its own action, 0 or 1, as reward.

    States: 0 first step, 1 second step, 2 the choice, 3 over. Agent 1 has nothing to decide.
    """
    transitions = np.zeros((4, 2, 2, 4))
    for s in range(4):
        transitions[s, ..., min(s + 1, 3)] = 1.0
    rewards = np.zeros((4, 2, 2))
    rewards[2, 1] = 1.0
    observations = np.zeros((4, 2, 2))
    observations[..., 0] = 1.0
    observations[0, 0] = 0.5, 0.5
    # in state 0 agent 0 has action 1 alone; in state 2 both, whose first step ends the episode
    return make_task(
        "echo", transitions=transitions, rewards=rewards, observations=observations, start=0,
        durations=[[1, 2], [1, 1]], terminal=[0, 0, 0, 1], episode_limit=5, discount=0.5,
        available=[[[0, 1], [1, 0]], [[1, 1], [1, 0]], [[1, 1], [1, 0]], [[1, 1], [1, 0]]],
    )  # fmt: skip


def two_ways() -> TabularTask:
    """Agent 0 may begin `LONG`, of two steps, in state 0 or, after `SHORT`, in state 1; both lead to state 2.

    It sees the number of the state, as far as 1.
    """
    transitions = np.zeros((3, 2, 2, 3))
    transitions[:, LONG, :, 2] = 1.0
    transitions[:, SHORT, :, 1] = 1.0
    return make_task(
        "two ways", transitions=transitions, rewards=np.zeros((3, 2, 2)), durations=[[1, 2], [1, 1]],
        observations=[[0, 0], [1, 0], [1, 0]], start=0, episode_limit=10, discount=0.5,
    )  # fmt: skip


def invest(episode_limit: int) -> TabularTask:
    """Agent 0 may get 1 in one step (`SHORT`) or 10 at the end of three (`LONG`), again and again."""
    rewards = np.zeros((1, 4, 4))
    rewards[0, 2 + SHORT, :], rewards[0, 2 + LONG, :] = 1.0, 10.0
    return make_task(
        "invest", transitions=staying(1, 2, 4), rewards=rewards, durations=[[1, 3], [1, 1]], observations=[[0, 0]],
        start=0, available=[[[1, 1], [1, 0]]], episode_limit=episode_limit, discount=0.9,
    )  # fmt: skip
