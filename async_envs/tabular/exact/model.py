"""A finite Markov game of one team, given as arrays, and the policies that agents play in it.

Letters: X states, P pairs (a state and a joint action that may be chosen there), N agents, L slots of a joint
action (N, or 2 N where every agent has a proxy), A own actions. Actions are numbered as the simulator does:
0 `noop`, 1 `continue`, 2 + a.

A policy is an array [X, N, A + 2] float64: at a state, the probability of each action of each agent. Agents
draw apart from each other, a proxy copies the executing agent's latest decision, and `noop` and `continue`
are forced where an agent is inactive or executing.
"""

from typing import Hashable, NamedTuple

import numpy as np

NOOP, CONTINUE, FIRST_OWN = 0, 1, 2  # the simulator's numbering
MOST_STATES = 20_000
MOST_ENTRIES = 50_000_000  # of `transitions`: 400 MB


class Model(NamedTuple):
    """The arrays. States without pairs are terminal and have value 0.

    Attributes:
        states: [X] labels. Padded: (s, ongoing), where ongoing[i] is None or (a, remaining steps >= 1).
            With proxies: ((s, ongoing), seen), where seen[i] is None or the observation that belongs to the
            decision which the executing agent i carries out.
        start: [X] float64, probabilities of the first state.
        pair_state: [P] int64, ascending; the state of each pair. The pairs of a state are in ascending order
            of the joint action, the last agent's action running fastest.
        joint_actions: [P, L] int64; masked proxies `noop`.
        transitions: [P, X] float64, probabilities of the next state.
        rewards: [P] float64, the expected reward of the step.
        decides: [X, N] bool, agents that choose a new action.
        discount: of one step, in [0, 1).
        n_agents: N.
        n_actions: A + 2.
    """

    states: tuple[Hashable, ...]
    start: np.ndarray
    pair_state: np.ndarray
    joint_actions: np.ndarray
    transitions: np.ndarray
    rewards: np.ndarray
    decides: np.ndarray
    discount: float
    n_agents: int
    n_actions: int


def check_size(n_states: int, n_pairs: int = 0) -> None:
    """Refuse a model that is too large for dense arrays.

    Raises:
        ValueError: more than MOST_STATES states or MOST_ENTRIES transition probabilities.
    """
    remedy = "Use fewer agents, states, actions or observations, or shorter durations."
    if n_states > MOST_STATES:
        raise ValueError(f"exact model: {n_states} states were reached, at most {MOST_STATES} are solved "
                         f"exactly. {remedy}")
    if n_states * n_pairs > MOST_ENTRIES:
        raise ValueError(f"exact model: {n_states} states and {n_pairs} pairs were reached, their product "
                         f"may be {MOST_ENTRIES} at most. {remedy}")


def first_pairs(model: Model) -> np.ndarray:
    """[states that have pairs] int64: the first pair of each such state, ascending."""
    return np.flatnonzero(np.diff(model.pair_state, prepend=-1))


def allowed_actions(model: Model) -> np.ndarray:
    """[X, N, A + 2] bool: what each agent may do at each state; `noop` where the state is terminal."""
    allowed = np.zeros((len(model.states), model.n_agents, model.n_actions), bool)
    agents = np.arange(model.n_agents)
    allowed[model.pair_state[:, None], agents, model.joint_actions[:, : model.n_agents]] = True
    allowed[~allowed.any(2), NOOP] = True
    return allowed


def pair_probabilities(model: Model, policy: np.ndarray) -> np.ndarray:
    """[P] float64: the probability that `policy` chooses each pair at its state, a product over real agents.

    Args:
        policy: [X, N, A + 2] float64.

    Raises:
        ValueError: the policy has another shape.
    """
    expected = (len(model.states), model.n_agents, model.n_actions)
    if policy.shape != expected:
        raise ValueError(f"policy: its shape is {policy.shape}, expected [X, N, A + 2] = {expected}. "
                         "Use `lift` to carry a policy of the padded model to the model with proxies.")
    real = model.joint_actions[:, : model.n_agents]
    chosen: np.ndarray = policy[model.pair_state[:, None], np.arange(model.n_agents), real].prod(1)
    return chosen


def policy_of_pairs(model: Model, pairs: np.ndarray) -> np.ndarray:
    """The deterministic policy that chooses given pairs.

    Args:
        pairs: [states that have pairs] int64, one pair of each such state in ascending order.

    Returns:
        [X, N, A + 2] float64.
    """
    policy = np.zeros((len(model.states), model.n_agents, model.n_actions))
    policy[:, :, NOOP] = 1.0
    states = model.pair_state[pairs]
    policy[states, :, NOOP] = 0.0
    policy[states[:, None], np.arange(model.n_agents), model.joint_actions[pairs, : model.n_agents]] = 1.0
    return policy


def random_policy(model: Model, rng: np.random.Generator) -> np.ndarray:
    """A stochastic policy, uniform over every agent's simplex at every state: [X, N, A + 2] float64."""
    weights = rng.standard_exponential((len(model.states), model.n_agents, model.n_actions))
    weights *= allowed_actions(model)
    policy: np.ndarray = weights / weights.sum(2, keepdims=True)
    return policy


def lift(policy: np.ndarray, state_of: np.ndarray) -> np.ndarray:
    """The same policy where agents have proxies: it does not look at what the proxies see.

    Args:
        policy: [X, N, A + 2] float64 on the padded model's states.
        state_of: [X^] int64 of `correspondence`.

    Returns:
        [X^, N, A + 2] float64.
    """
    lifted: np.ndarray = policy[state_of]
    return lifted
