"""The exact distribution of the first steps of an episode."""

from typing import Hashable, NamedTuple

import numpy as np

from async_envs.tabular.exact.model import Model, pair_probabilities

MOST_TRAJECTORIES = 200_000


class Flow(NamedTuple):
    """How often a trajectory happens, and the rewards on it.

    Several trajectories of the model count as one where they differ in what the proxies see alone; `lowest`
    and `highest` differ if the rewards of these do.
    """

    probability: float
    lowest: tuple[float, ...]  # [steps taken]
    highest: tuple[float, ...]  # [steps taken]


Trajectory = tuple[Hashable, ...]  # label, real joint action, label, …, label
_Open = tuple[Trajectory, int, float, tuple[float, ...]]  # so far, last state, probability, rewards


def trajectory_distribution(model: Model, policy: np.ndarray, steps: int) -> dict[Trajectory, Flow]:
    """Every trajectory of positive probability, without õ_c and ã_c where the model has proxies.

    Args:
        policy: [X, N, A + 2] float64.
        steps: length; a trajectory is shorter where a terminal state is reached.

    Returns:
        From (label, joint action of the N real agents, label, …, label) to its probability and rewards.

    Raises:
        ValueError: more than MOST_TRAJECTORIES trajectories.
    """
    labels = real_labels(model)
    ways = _ways(model, policy, labels)
    frontier: list[_Open] = [((labels[x],), x, p, ()) for x, p in enumerate(model.start.tolist()) if p > 0]
    ended: list[_Open] = []
    for _ in range(steps):
        longer: list[_Open] = []
        for trajectory, x, probability, rewards in frontier:
            if not ways[x]:
                ended.append((trajectory, x, probability, rewards))
            for joint, reward, x_next, chance in ways[x]:
                grown = (*trajectory, joint, labels[x_next])
                longer.append((grown, x_next, probability * chance, (*rewards, reward)))
        frontier = longer
        if len(frontier) + len(ended) > MOST_TRAJECTORIES:
            raise ValueError(f"trajectory_distribution: {steps} steps make more than {MOST_TRAJECTORIES} "
                             "trajectories. Ask for fewer steps.")
    flows: dict[Trajectory, Flow] = {}
    for trajectory, _, probability, rewards in ended + frontier:
        known = flows.get(trajectory, Flow(0.0, rewards, rewards))
        flows[trajectory] = Flow(known.probability + probability, tuple(map(min, known.lowest, rewards)),
                                 tuple(map(max, known.highest, rewards)))
    return flows


Way = tuple[tuple[int, ...], float, int, float]  # real joint action, reward, next state, probability


def _ways(model: Model, policy: np.ndarray, labels: tuple[Hashable, ...]) -> list[list[Way]]:
    """[X] what may happen next."""
    ways: list[list[Way]] = [[] for _ in labels]
    weights = pair_probabilities(model, policy)
    for p in np.flatnonzero(weights).tolist():
        joint = tuple(model.joint_actions[p, : model.n_agents].tolist())
        row = model.transitions[p]
        ways[int(model.pair_state[p])] += [(joint, float(model.rewards[p]), x, float(weights[p] * row[x]))
                                           for x in np.flatnonzero(row).tolist()]
    return ways


def real_labels(model: Model) -> tuple[Hashable, ...]:
    """[X] the labels (s, ongoing): as they are, or without what the proxies see."""
    if model.joint_actions.shape[1] == model.n_agents:
        return model.states
    return tuple([label[0] for label in model.states])  # type: ignore[index]


def marginals(model: Model, policy: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The distribution over states after each step, and the expected reward of each step.

    Args:
        policy: [X, N, A + 2] float64.
        steps: how many.

    Returns:
        [steps + 1, X] and [steps] float64.
    """
    weights = pair_probabilities(model, policy)
    states, rewards = np.zeros((steps + 1, len(model.states))), np.zeros(steps)
    states[0] = model.start
    terminal = np.ones(len(model.states), bool)
    terminal[model.pair_state] = False
    for t in range(steps):
        flow = states[t, model.pair_state] * weights
        rewards[t] = flow @ model.rewards
        states[t + 1] = flow @ model.transitions + terminal * states[t]
    return states, rewards
