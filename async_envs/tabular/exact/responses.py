"""Best responses and Markov perfect equilibria.

A joint policy is a Markov perfect equilibrium where no agent gains at any state by another policy of its own
(arXiv:2408.03692v2, Definition 2). Agents share one reward, so every strict best response raises the common
value, and best responses in turn end at an equilibrium.
"""

from typing import Optional

import numpy as np

from async_envs.tabular.exact.bellman import (
    PRECISION, best_pairs, best_values, evaluate, greedy, improve_until_best, optimal,
)
from async_envs.tabular.exact.model import Model, pair_probabilities, policy_of_pairs, random_policy

TOLERANCE = 1e-9
ROUNDS = 1_000  # of best responses; every one raises the value of some state


def response_model(model: Model, policy: np.ndarray, agent: int) -> Model:
    """The decision problem of one agent while the others keep to their policies.

    Args:
        policy: [X, N, A + 2] float64; the agent's own part is not read.
        agent: index.

    Returns:
        The same states; a pair is a state and the agent's own action, so `joint_actions` is [P_i, 1].

    Raises:
        ValueError: there is no such agent.
    """
    if not 0 <= agent < model.n_agents:
        raise ValueError(f"best response: agent {agent} does not exist. Use 0 to {model.n_agents - 1}.")
    own = model.joint_actions[:, agent]
    key = model.pair_state * model.n_actions + own
    order = np.argsort(key, kind="stable")
    others = policy.copy()
    others[:, agent] = 1.0
    weights = pair_probabilities(model, others)[order]
    firsts = np.flatnonzero(np.diff(key[order], prepend=-1))
    return model._replace(
        pair_state=model.pair_state[order][firsts],
        joint_actions=own[order][firsts][:, None],
        transitions=np.add.reduceat(weights[:, None] * model.transitions[order], firsts),
        rewards=np.add.reduceat(weights * model.rewards[order], firsts),
        decides=model.decides[:, [agent]],
        n_agents=1,
    )


def best_response(model: Model, policy: np.ndarray, agent: int) -> tuple[np.ndarray, np.ndarray]:
    """The best that an agent can do against the policies of the others, at every state at once.

    Args:
        policy: [X, N, A + 2] float64.
        agent: index.

    Returns:
        V [X] float64, and the agent's policy [X, A + 2] float64 that attains it (the lowest best action).
    """
    problem = response_model(model, policy, agent)
    q = improve_until_best(problem, problem.rewards)
    tie = PRECISION * (1 + np.abs(q).max())
    return best_values(problem, q), policy_of_pairs(problem, best_pairs(problem, q, tie))[:, 0]


def best_response_value(model: Model, policy: np.ndarray, agent: int) -> np.ndarray:
    """[X] float64: the value of the agent's best response to the others' policies."""
    return best_response(model, policy, agent)[0]


def is_equilibrium(model: Model, policy: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Whether no agent gains more than `tolerance` at any state by another policy of its own."""
    values, _ = evaluate(model, policy)
    return all(np.all(best_response_value(model, policy, agent) <= values + tolerance)
               for agent in range(model.n_agents))


def find_equilibrium(model: Model, rng: Optional[np.random.Generator] = None,
                     start: Optional[np.ndarray] = None, tolerance: float = TOLERANCE) -> np.ndarray:
    """A Markov perfect equilibrium, by best responses in turn.

    Args:
        rng: begins at a random stochastic policy; None begins at greedy(Q*).
        start: [X, N, A + 2] float64, begins there instead.
        tolerance: gains up to this do not move an agent.

    Returns:
        [X, N, A + 2] float64.

    Raises:
        ArithmeticError: agents still move after ROUNDS rounds.
    """
    if start is not None:
        policy = start.copy()
    else:
        policy = greedy(model, optimal(model)) if rng is None else random_policy(model, rng)
    for _ in range(ROUNDS):
        moved = False
        for agent in range(model.n_agents):
            best, response = best_response(model, policy, agent)
            if np.any(best > evaluate(model, policy)[0] + tolerance):
                policy[:, agent], moved = response, True
        if not moved:
            return policy
    raise ArithmeticError(f"find_equilibrium: agents still gain more than {tolerance} after {ROUNDS} rounds. "
                          "Raise the tolerance.")
