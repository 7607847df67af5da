"""Small tasks written by hand, random ones, and one episode by the rules in `async_envs.tabular.task`.

`play` is the slow, obvious twin of the exact models: it draws what the models sum over.
"""

from typing import Mapping, Optional

import numpy as np

from async_envs.tabular.exact.padded import State
from async_envs.tabular.task import TabularTask


def task_of(transitions: np.ndarray, rewards: np.ndarray, durations: np.ndarray, *, discount: float = 0.5,
            terminal: tuple[int, ...] = (), observations: Optional[np.ndarray] = None, **arrays: np.ndarray
            ) -> TabularTask:
    """A task of plain arrays that starts in state 0 unless told otherwise."""
    n_states, n_agents, n_own = transitions.shape[0], *durations.shape[:2]
    ends = np.zeros(n_states, bool)
    ends[list(terminal)] = True
    fields = {
        "start": np.eye(n_states)[0],
        "available": np.ones((n_states, n_agents, n_own), bool),
        "inactive": np.zeros((n_states, n_agents), bool),
        "interrupts": np.zeros((n_states, n_agents), bool),
        "observations": np.ones((n_states, n_agents, 1)) if observations is None else observations,
    } | arrays
    return TabularTask(transitions=transitions, rewards=rewards, durations=durations, terminal=ends,
                       episode_limit=1000, discount=discount, state_is_shown=True,
                       action_names=tuple(f"a{k}" for k in range(n_own)), **fields)


def work_or_wait() -> TabularTask:
    """One agent, discount 1/2. In state 0, `a0` (1 step) earns 1 and stays; `a1` (2 steps) earns 0, then 5
    and moves to state 1. In state 1 `a0` alone is there: it earns 2 and moves back.
    """
    transitions, rewards = np.zeros((2, 4, 2)), np.zeros((2, 4))
    transitions[0, :, 0] = transitions[1, :, 0] = 1.0
    transitions[0, 3] = 0.0, 1.0  # last step of a1
    rewards[0, 2], rewards[0, 3], rewards[1, 2] = 1.0, 5.0, 2.0
    durations = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    return task_of(transitions, rewards, durations, available=np.array([[[True, True]], [[True, False]]]))


def matrix_game(payoff: list[list[float]]) -> TabularTask:
    """Two agents choose once, then it is over; discount 1/2."""
    own = len(payoff)
    transitions, rewards = np.zeros((2, 2 * own, 2 * own, 2)), np.zeros((2, 2 * own, 2 * own))
    transitions[..., 1] = 1.0
    rewards[0, own:, own:] = payoff
    return task_of(transitions, rewards, np.ones((2, own, 1)), terminal=(1,))


def random_task(rng: np.random.Generator, n_states: int = 3, n_agents: int = 2, n_actions: int = 2,
                longest: int = 3, n_observations: int = 2, random_durations: bool = False,
                terminal: bool = True, inactive: bool = False, interrupts: bool = False,
                unavailable: bool = False, discount: float = 0.8) -> TabularTask:
    """Sparse stochastic transitions, rewards in halves; the last state is terminal if any is."""
    activities = (2 * n_actions,) * n_agents
    transitions = rng.random((n_states, *activities, n_states))
    transitions *= rng.random(transitions.shape) < 0.6
    transitions[..., 0] += 0.1
    durations = np.zeros((n_agents, n_actions, longest))
    if random_durations:
        durations += rng.random(durations.shape) * (rng.random(durations.shape) < 0.7)
    np.put_along_axis(durations, rng.integers(longest, size=(n_agents, n_actions, 1)), 1.0, 2)
    observations = rng.random((n_states, n_agents, n_observations))
    allowed = np.ones((n_states, n_agents, n_actions), bool)
    if unavailable:
        allowed[..., 1:] = rng.random(allowed[..., 1:].shape) < 0.6
    start = np.zeros(n_states)
    start[:2] = (0.25, 0.75) if n_states > 2 else (1.0, 0.0)
    return task_of(
        transitions / transitions.sum(-1, keepdims=True),
        rng.integers(-4, 5, (n_states, *activities)) / 2,
        durations / durations.sum(-1, keepdims=True),
        discount=discount,
        terminal=(n_states - 1,) if terminal else (),
        observations=observations / observations.sum(-1, keepdims=True),
        start=start,
        available=allowed,
        inactive=inactive & (rng.random((n_states, n_agents)) < 0.25),
        interrupts=interrupts & (rng.random((n_states, n_agents)) < 0.25),
    )


def play(task: TabularTask, policy: np.ndarray, number_of: Mapping[State, int], rng: np.random.Generator,
         horizon: int) -> float:
    """The discounted return of one episode.

    Args:
        policy: [X, N, A + 2] probabilities, by the number of the state (s, ongoing).
        number_of: from the state (s, ongoing) to its number.
        horizon: steps after which the rest is left out.
    """
    s = draw(rng, task.start)
    running: list[Optional[tuple[int, int]]] = [None] * task.n_agents  # own action, steps left
    total = 0.0
    for t in range(horizon):
        if task.terminal[s]:
            break
        row = policy[number_of[s, tuple(running)]]
        for i in range(task.n_agents):
            if running[i] is None and not task.inactive[s, i]:
                a = draw(rng, row[i]) - 2
                running[i] = (a, 1 + draw(rng, task.durations[i, a]))
        activities = [0 if r is None else r[0] + task.n_own_actions * (r[1] == 1) for r in running]
        total += task.discount**t * task.rewards[(s, *activities)]
        s = draw(rng, task.transitions[(s, *activities)])
        for i, action in enumerate(running):
            if action is not None:
                a, left = action
                ends = left == 1 or task.interrupts[s, i] or task.inactive[s, i] or task.terminal[s]
                running[i] = None if ends else (a, left - 1)
    return total


def draw(rng: np.random.Generator, law: np.ndarray) -> int:
    """An index by its probability."""
    return int(np.searchsorted(np.cumsum(law), rng.random() * law.sum(), side="right"))
