"""Theorem 1: proxies keep the Markov perfect equilibria of a task, and which of them is reached.

Paper: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, section 4 and appendix B. A policy reads the state s; what
happens where it may read õ_c as well is in test_assumptions.py.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from async_envs.tabular.exact.solve import (
    best_response_value,
    bellman_optimality,
    deterministic_policy,
    equilibria,
    evaluate,
    find_equilibrium,
    greedy,
    is_equilibrium,
    lift,
    lifted_equilibria,
    n_deterministic,
    optimal,
    random_policy,
    value_iteration,
)
from async_envs.tabular.task import TabularTask
from tests.counted import count
from tests.theory.models import Pair, assert_close, both, values_scale
from tests.theory.projection import additive, error
from tests.theory.strategies import (
    SEEDS,
    enumerable_tasks,
    fingerprint,
    more_examples,
    tasks,
    wanted_examples,
)

MEMORIES = st.sampled_from(("kept", "printed"))
ENUMERATIONS = 5  # examples, in multiples of the profile's
DIFFERENT = 4  # of these, so many multiples at least are different tasks: 200 in the profile `ci`


def test_the_sets_of_equilibria_agree_by_enumeration() -> None:
    """Theorem 1 (1): pi*_VSP = pi*_Dec. Every deterministic joint policy is an MPE of both models or of neither.

    Deviations in the model with proxies may read õ_c, and gain nothing by it.
    """
    different: set[bytes] = set()
    with_sights: set[bytes] = set()  # … in which a proxy is active

    @more_examples(ENUMERATIONS)
    @given(task=enumerable_tasks())
    def agree(task: TabularTask) -> None:
        mark = fingerprint(task)
        pair = both(task, ("kept", "printed")[mark[0] % 2])
        plain = equilibria(pair.dec)
        proxied = lifted_equilibria(pair.vsp, pair.dec, pair.state_of, pair.pair_of)
        np.testing.assert_array_equal(proxied, plain)
        assert len(plain) == n_deterministic(pair.dec)
        one = int.from_bytes(mark[1:5], "little") % len(plain)  # this verdict is checked by best responses
        policy = deterministic_policy(pair.dec, one)
        assert is_equilibrium(pair.vsp, lift(policy, pair.state_of)) == plain[one]
        count("enumerated", f"{mark.hex()}/{len(plain)}")
        different.add(mark)
        if any(sight is not None for label in pair.vsp.states for sight in label[1]):  # type: ignore[index]
            with_sights.add(mark)

    agree()
    assert len(different) >= DIFFERENT * wanted_examples()
    assert len(with_sights) >= len(different) / 2


@given(task=tasks(), memory=MEMORIES, policy_seed=SEEDS)
def test_no_agent_can_gain_more_by_reading_what_the_proxies_see(
    task: TabularTask, memory: str, policy_seed: int
) -> None:
    """Theorem 1 (1), for stochastic policies and tasks too large to enumerate.

    An agent's best response among all policies of s^ = [s; õ_c] is worth what the best among policies of s is,
    whatever the others play. So a joint policy is an MPE of both models or of neither.
    """
    dec, vsp, state_of, _ = both(task, memory)
    policy = random_policy(dec, np.random.default_rng(policy_seed))
    for agent in range(task.n_agents):
        response = best_response_value(dec, policy, agent)
        assert_close(best_response_value(vsp, lift(policy, state_of), agent), response[state_of])


@given(task=tasks(), memory=MEMORIES, policy_seed=SEEDS)
def test_best_responses_from_the_same_start_reach_the_same_equilibrium(
    task: TabularTask, memory: str, policy_seed: int
) -> None:
    """Theorem 1, on tasks of any size: a single MPE, found by best responses, is one of both models.

    Found with and without proxies, from the same initial joint policy, it is the same.
    """
    dec, vsp, state_of, _ = both(task, memory)
    start = random_policy(dec, np.random.default_rng(policy_seed))
    reached = find_equilibrium(dec, start=start)
    assert is_equilibrium(dec, reached) and is_equilibrium(vsp, lift(reached, state_of))
    assert_close(find_equilibrium(vsp, start=lift(start, state_of)), lift(reached, state_of))


@given(task=tasks().filter(lambda task: task.discount < 0.95), memory=MEMORIES, policy_seed=SEEDS)
def test_value_iteration_from_the_same_policy_reaches_the_same_equilibrium(
    task: TabularTask, memory: str, policy_seed: int
) -> None:
    """Theorem 1 (2): from the same pi_0, T*_Dec and T*_VSP converge to the same MPE.

    Ties are broken alike: the lowest of the best joint actions. The limit is an MPE of both.
    """
    dec, vsp, state_of, _ = both(task, memory)
    start = random_policy(dec, np.random.default_rng(policy_seed))
    q = value_iteration(dec, evaluate(dec, start)[1])
    hat_q = value_iteration(vsp, evaluate(vsp, lift(start, state_of))[1])
    reached = greedy(dec, q, tolerance=1e-7)
    np.testing.assert_array_equal(greedy(vsp, hat_q, tolerance=1e-7), lift(reached, state_of))
    assert is_equilibrium(dec, reached, tolerance=1e-6)
    assert is_equilibrium(vsp, lift(reached, state_of), tolerance=1e-6)


def split(pair: Pair, rng: np.random.Generator, evenly: bool) -> tuple[np.ndarray, np.ndarray]:
    """Random weights of the pairs of both models, [P] and [P^]: those of Y_(s, a) add up to that of (s, a).

    Args:
        evenly: every pair of s^ gets the same share of its (s, a), as under a policy that reads s alone.
    """
    weights = rng.uniform(0.1, 1.0, len(pair.dec.rewards))
    shares = rng.uniform(0.1, 1.0, len(pair.vsp.states) if evenly else len(pair.vsp.rewards))
    shares = shares[pair.vsp.pair_state] if evenly else shares
    return weights, weights[pair.pair_of] * shares / np.bincount(pair.pair_of, weights=shares)[pair.pair_of]


@given(task=enumerable_tasks(), memory=MEMORIES, seed=SEEDS)
def test_additive_values_with_a_zero_proxy_term_attain_the_same_projection_error(
    task: TabularTask, memory: str, seed: int
) -> None:
    """Theorem 1, end of its proof: f_VSP = f_Dec + 0 * (sum of Q_i') fits Q* as well, and no f_VSP fits better.

    Class: Q_tot = sum_i Q_i(s, a_i), with proxies + sum_i' Q_i'(s, a_i'), by exact weighted least squares. The
    nearest member is the same function, so the greedy policy is the same.
    """
    pair, rng = both(task, memory), np.random.default_rng(seed)
    dec, vsp, state_of, pair_of = pair
    weights, hat_weights = split(pair, rng, evenly=False)
    target = optimal(dec)
    fit = additive(dec.joint_actions, dec.pair_state, weights)(target)
    hat_fit = additive(vsp.joint_actions, state_of[vsp.pair_state], hat_weights)(target[pair_of])
    scale = values_scale(dec)
    attained = error(target[pair_of], fit[pair_of] + 0.0, hat_weights)
    assert abs(attained - error(target, fit, weights)) <= 1e-9 * scale**2
    assert abs(attained - error(target[pair_of], hat_fit, hat_weights)) <= 1e-9 * scale**2
    assert_close(hat_fit, fit[pair_of], scale)


@given(task=enumerable_tasks(), memory=MEMORIES, seed=SEEDS)
def test_proxies_that_read_what_they_see_fit_no_better_either(task: TabularTask, memory: str, seed: int) -> None:
    """The same with Q_i'(s, õ_i, a_i'), where pairs are weighted as under a policy that reads s alone."""
    pair, rng = both(task, memory), np.random.default_rng(seed)
    dec, vsp, state_of, pair_of = pair
    weights, hat_weights = split(pair, rng, evenly=True)
    target = optimal(dec)
    fit = additive(dec.joint_actions, dec.pair_state, weights)(target)
    slots = np.concatenate([vsp.joint_actions, sights(pair)], 1)
    hat_fit = additive(slots, state_of[vsp.pair_state], hat_weights)(target[pair_of])
    assert_close(hat_fit, fit[pair_of], values_scale(dec))


def sights(pair: Pair) -> np.ndarray:
    """[P^, N] int: what each proxy sees at the pair's state, -1 where it is masked."""
    seen = [[-1 if sight is None else sight for sight in label[1]] for label in pair.vsp.states]  # type: ignore[index]
    return np.array(seen)[pair.vsp.pair_state]


@given(task=enumerable_tasks(), memory=MEMORIES, policy_seed=SEEDS)
def test_every_iterate_of_the_value_decomposition_operator_is_the_same(
    task: TabularTask, memory: str, policy_seed: int
) -> None:
    """Theorem 1 (2) for T*_VD = Pi_VD T* (Definition 5): from the same pi_0, iterate by iterate.

    So both converge or neither does, to the same Q_tot and the same greedy policy.
    """
    dec, vsp, state_of, pair_of = both(task, memory)
    project = additive(dec.joint_actions, dec.pair_state, np.ones(len(dec.rewards)))
    hat_project = additive(vsp.joint_actions, state_of[vsp.pair_state], np.ones(len(vsp.rewards)))
    start = random_policy(dec, np.random.default_rng(policy_seed))
    q, hat_q = evaluate(dec, start)[1], evaluate(vsp, lift(start, state_of))[1]
    for _ in range(8):
        q, hat_q = project(bellman_optimality(dec, q)), hat_project(bellman_optimality(vsp, hat_q))
        assert_close(hat_q, q[pair_of], 1.0 + np.abs(q).max())
    np.testing.assert_array_equal(greedy(vsp, hat_q, 1e-7), lift(greedy(dec, q, 1e-7), state_of))
