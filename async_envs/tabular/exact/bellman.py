"""Values and action values of a model: linear solves, Bellman operators, optimal values.

Letters as in `model`. A joint policy of agents that draw apart is [X, N, A + 2]; Q is [P], one value a pair.
"""

from typing import Optional

import numpy as np

from async_envs.tabular.exact.model import Model, first_pairs, pair_probabilities, policy_of_pairs

SWEEPS = 20  # of value iteration, before policy iteration takes over
IMPROVEMENTS = 1_000  # of policies; a handful is usual
PRECISION = 1e-11  # of the Bellman residual, relative to the largest value


def evaluate(model: Model, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected discounted return of a joint policy, by one linear solve.

        V = r_pi + discount * P_pi V        Q = r + discount * P V

    Args:
        policy: [X, N, A + 2] float64.

    Returns:
        V [X] and Q [P] float64.
    """
    weights = pair_probabilities(model, policy)
    return _evaluate(model, weights)


def _evaluate(model: Model, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V [X] and Q [P], given the probability of each pair at its state [P]."""
    firsts = first_pairs(model)
    states = model.pair_state[firsts]
    system = np.eye(len(model.states))
    system[states] -= model.discount * np.add.reduceat(weights[:, None] * model.transitions, firsts)
    earned = np.zeros(len(model.states))
    earned[states] = np.add.reduceat(weights * model.rewards, firsts)
    values = np.linalg.solve(system, earned)
    return values, backup(model, values)


def backup(model: Model, values: np.ndarray) -> np.ndarray:
    """r + discount * P V: [P] float64 from values [X]."""
    q: np.ndarray = model.rewards + model.discount * (model.transitions @ values)
    return q


def best_values(model: Model, q: np.ndarray) -> np.ndarray:
    """The largest q of each state: [X] float64, 0 where the state is terminal."""
    firsts = first_pairs(model)
    values = np.zeros(len(model.states))
    values[model.pair_state[firsts]] = np.maximum.reduceat(q, firsts)
    return values


def bellman_evaluation(model: Model, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """One application of the policy's Bellman operator: [P] float64 from q [P].

        T^pi Q(s, a) = E[r + discount * sum_a' pi(a'|s') Q(s', a')]
    """
    firsts = first_pairs(model)
    values = np.zeros(len(model.states))
    values[model.pair_state[firsts]] = np.add.reduceat(pair_probabilities(model, policy) * q, firsts)
    return backup(model, values)


def bellman_optimality(model: Model, q: np.ndarray) -> np.ndarray:
    """One application of the Bellman optimality operator: [P] float64 from q [P].

        T* Q(s, a) = E[r + discount * max_a' Q(s', a')]

    Source: arXiv:2408.03692v2, Definition 3.
    """
    return backup(model, best_values(model, q))


def value_iteration(model: Model, q: Optional[np.ndarray] = None, tolerance: float = 1e-14,
                    most: int = 100_000) -> np.ndarray:
    """Apply the Bellman optimality operator until it moves no value any more.

    Args:
        q: [P] float64, where to begin; None begins at zeros.
        tolerance: largest change of the last sweep, relative to 1 + the largest value.
        most: sweeps after which it gives up.

    Returns:
        [P] float64, within discount / (1 - discount) times the last change of Q*.

    Raises:
        ArithmeticError: it moves on after `most` sweeps.
    """
    q = np.zeros(len(model.rewards)) if q is None else q
    for _ in range(most):
        before, q = q, bellman_optimality(model, q)
        if np.abs(q - before).max() <= tolerance * (1 + np.abs(q).max()):
            return q
    raise ArithmeticError(f"value iteration: values still move by more than {tolerance} after {most} sweeps. "
                          "Lower the discount or raise the tolerance.")


def optimal(model: Model, q: Optional[np.ndarray] = None) -> np.ndarray:
    """Q*: some sweeps of value iteration, then policy iteration, then the Bellman residual is checked.

    Args:
        q: [P] float64, where value iteration begins; None begins at zeros.

    Returns:
        [P] float64.

    Raises:
        ArithmeticError: the residual is larger than float64 explains, or policies improve without end.
    """
    q = np.zeros(len(model.rewards)) if q is None else q
    for _ in range(SWEEPS):
        q = bellman_optimality(model, q)
    q = improve_until_best(model, q)
    residual = np.abs(bellman_optimality(model, q) - q).max()
    if residual > 10 * PRECISION * (1 + np.abs(q).max()):
        raise ArithmeticError(f"optimal: the Bellman residual is {residual:.3g}, too large for values up to "
                              f"{np.abs(q).max():.3g}. Lower the discount.")
    return q


def improve_until_best(model: Model, q: np.ndarray) -> np.ndarray:
    """Policy iteration over joint actions, from the greedy policy of q [P] to Q* [P].

    Raises:
        ArithmeticError: policies still improve after IMPROVEMENTS rounds.
    """
    pairs = best_pairs(model, q, 0.0)
    for _ in range(IMPROVEMENTS):
        weights = np.zeros(len(q))
        weights[pairs] = 1.0
        values, q = _evaluate(model, weights)
        better = best_pairs(model, q, 0.0)
        gains = q[better] - q[pairs] > PRECISION * (1 + np.abs(q).max())
        if not gains.any():
            return q
        pairs = np.where(gains, better, pairs)
    raise ArithmeticError(f"policy iteration: policies still improve after {IMPROVEMENTS} rounds. "
                          "Lower the discount.")


def best_pairs(model: Model, q: np.ndarray, tolerance: float) -> np.ndarray:
    """[states that have pairs] int64: of each, the lowest pair whose q is within `tolerance` of its best."""
    firsts = first_pairs(model)
    good = q >= best_values(model, q)[model.pair_state] - tolerance
    pairs: np.ndarray = np.minimum.reduceat(np.where(good, np.arange(len(q)), len(q)), firsts)
    return pairs


def greedy(model: Model, q: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """[X, N, A + 2] float64: the deterministic policy of the lowest pair within `tolerance` of the best."""
    return policy_of_pairs(model, best_pairs(model, q, tolerance))
