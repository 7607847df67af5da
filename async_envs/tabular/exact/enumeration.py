"""All deterministic joint policies of a model, and which of them are Markov perfect equilibria.

Policies are numbered: the states where a choice exists, in ascending order, are the digits, the last running
fastest; a digit counts the pairs of its state. States with one pair are eliminated from the linear systems
before the enumeration, so that a policy costs one solve over the states where a choice exists.
"""

from math import prod
from typing import Iterator, NamedTuple, Optional

import numpy as np

from async_envs.tabular.exact.model import Model, first_pairs, policy_of_pairs

MOST_POLICIES = 100_000
CHUNK_ENTRIES = 1_000_000  # of the largest array of one chunk: 8 MB


class Choices(NamedTuple):
    """A model over the D states where a choice exists; its C pairs are numbered from 0."""

    counts: np.ndarray  # [D] int64, pairs of each state
    firsts: np.ndarray  # [D] int64, the first of them
    pairs: np.ndarray  # [C] int64, their numbers in the model
    rewards: np.ndarray  # [C] float64, discounted, until the next choice
    onward: np.ndarray  # [C, D] float64, expected discount at the next choice
    rivals: np.ndarray  # [C, W] int64, pairs that differ in one agent's action; the pair itself fills up


def _choices(model: Model) -> Choices:
    """Eliminate the states with one pair: what is earned there is earned on the way to the next choice."""
    firsts = first_pairs(model)
    counts = np.diff(firsts, append=len(model.pair_state))
    states = model.pair_state[firsts]
    open_states, forced = states[counts > 1], states[counts == 1]
    passing = firsts[counts == 1]
    discounted = model.discount * model.transitions
    solved = np.linalg.solve(
        np.eye(len(forced)) - discounted[np.ix_(passing, forced)],
        np.column_stack([model.rewards[passing], discounted[np.ix_(passing, open_states)]]),
    )
    pairs = np.flatnonzero(np.isin(model.pair_state, open_states))
    through = discounted[np.ix_(pairs, forced)] @ solved
    counts = counts[counts > 1]
    return Choices(counts, np.cumsum(counts) - counts, pairs, model.rewards[pairs] + through[:, 0],
                   discounted[np.ix_(pairs, open_states)] + through[:, 1:], _rivals(model, pairs))


def _rivals(model: Model, pairs: np.ndarray) -> np.ndarray:
    """[C, W] int64: for each pair, those of its state that differ in the action of exactly one agent."""
    joint = model.joint_actions[pairs, : model.n_agents]
    same = model.pair_state[pairs][:, None] == model.pair_state[pairs]
    near = same & ((joint[:, None] != joint[None]).sum(2) == 1)
    width = int(near.sum(1).max(initial=1))
    rivals = np.repeat(np.arange(len(pairs))[:, None], width, 1)
    rows, columns = np.nonzero(near)
    starts = np.cumsum(near.sum(1)) - near.sum(1)
    rivals[rows, np.arange(len(rows)) - starts[rows]] = columns
    return rivals


def n_deterministic(model: Model) -> int:
    """How many deterministic joint policies there are."""
    return prod(np.unique(model.pair_state, return_counts=True)[1].tolist())


def deterministic_policy(model: Model, number: int) -> np.ndarray:
    """[X, N, A + 2] float64: the deterministic policy of this number.

    Raises:
        ValueError: there is no such policy.
    """
    most = n_deterministic(model)
    if not 0 <= number < most:
        raise ValueError(f"deterministic policy: number {number} does not exist. Use 0 to {most - 1}.")
    firsts = first_pairs(model)
    pairs = firsts.copy()
    for k, count in reversed(list(enumerate(np.diff(firsts, append=len(model.pair_state)).tolist()))):
        number, digit = divmod(number, count)
        pairs[k] += digit
    return policy_of_pairs(model, pairs)


def deterministic_policies(model: Model) -> Iterator[np.ndarray]:
    """Every deterministic policy, by number: [X, N, A + 2] float64 each."""
    return (deterministic_policy(model, number) for number in range(n_deterministic(model)))


def equilibria(model: Model, most: int = MOST_POLICIES, tolerance: float = 1e-9) -> np.ndarray:
    """Which deterministic policies are Markov perfect equilibria.

    Checked by single deviations: where no change of one agent's action at one state gains more than
    `tolerance`, no policy of that agent gains more than tolerance / (1 - discount).

    Args:
        most: policies that are enumerated.
        tolerance: of a gain.

    Returns:
        [n_deterministic(model)] bool, by number.

    Raises:
        ValueError: there are more than `most` policies.
    """
    choices = _choices(model)
    return _equilibria(choices, choices.counts, None, _counted(model, most), tolerance)


def lifted_equilibria(with_proxies: Model, padded: Model, state_of: np.ndarray, pair_of: np.ndarray,
                      most: int = MOST_POLICIES, tolerance: float = 1e-9) -> np.ndarray:
    """Which deterministic policies of the padded model are equilibria of the model with proxies, once lifted.

    Deviations there may look at what the proxies see.

    Args:
        state_of, pair_of: [X^] and [P^] int64 of `correspondence`.
        most, tolerance: as of `equilibria`.

    Returns:
        [n_deterministic(padded)] bool, by the number of the padded policy.

    Raises:
        ValueError: there are more than `most` policies.
    """
    choices, base = _choices(with_proxies), _choices(padded)
    number_of = np.full(len(padded.rewards), -1)
    number_of[base.pairs] = np.arange(len(base.pairs))  # of a padded pair among those with a choice
    taken = number_of[pair_of[choices.pairs]]  # [C^]
    owner = np.repeat(np.arange(len(base.counts)), base.counts)[taken]
    here = np.repeat(np.arange(len(choices.counts)), choices.counts)
    table = np.full((len(choices.counts), int(base.counts.max(initial=1)) + 1), -1)
    table[here, taken - base.firsts[owner]] = np.arange(len(taken))  # [D^, digit]: the pair to take
    table[:, -1] = owner[choices.firsts]  # [D^]: which digit of the padded policy decides
    return _equilibria(choices, base.counts, table, _counted(padded, most), tolerance)


def _counted(model: Model, most: int) -> int:
    n_policies = n_deterministic(model)
    if n_policies > most:
        raise ValueError(f"equilibria: the model has {n_policies} deterministic policies, at most {most} are "
                         "enumerated. Use find_equilibrium, or a smaller task.")
    return n_policies


def _equilibria(choices: Choices, counts: np.ndarray, table: Optional[np.ndarray], n_policies: int,
                tolerance: float) -> np.ndarray:
    """[n_policies] bool. Digits [D of `counts`] become pairs by `table`, or are pairs where there is none."""
    n_states, n_pairs = len(choices.counts), len(choices.pairs)
    result = np.ones(n_policies, bool)
    if not n_states:
        return result
    width = n_states * max(n_states, choices.rivals.shape[1]) + n_pairs
    chunk = max(1, CHUNK_ENTRIES // width)
    for begin in range(0, n_policies, chunk):
        numbers = np.arange(begin, min(begin + chunk, n_policies))
        digits = np.stack(np.unravel_index(numbers, tuple(counts.tolist())), 1)  # [K, D]
        if table is None:
            taken = choices.firsts + digits
        else:
            taken = table[np.arange(n_states), digits[:, table[:, -1]]]  # [K, D^]
        systems = np.eye(n_states) - choices.onward[taken]
        values = np.linalg.solve(systems, choices.rewards[taken][..., None])[..., 0]
        q = choices.rewards + values @ choices.onward.T  # [K, C]
        rivals = q[np.arange(len(numbers))[:, None, None], choices.rivals[taken]]  # [K, D, W]
        result[numbers] = (rivals.max(2) <= values + tolerance).all(1)
    return result
