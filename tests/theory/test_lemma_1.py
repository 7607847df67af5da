"""Lemma 1: the action values of a policy are the same with and without proxies.

Paper: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, section 4 and appendix B.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from async_envs.tabular.exact.solve import bellman_evaluation, evaluate, lift, random_policy
from async_envs.tabular.task import TabularTask
from tests.theory.models import assert_close, both, values_scale
from tests.theory.strategies import SEEDS, more_examples, tasks

MEMORIES = st.sampled_from(("kept", "printed"))


@more_examples(2)
@given(task=tasks(), memory=MEMORIES, policy_seed=SEEDS)
def test_action_values_of_every_pair_that_corresponds_are_equal(
    task: TabularTask, memory: str, policy_seed: int
) -> None:
    """Lemma 1: Q^pi_Dec(s, a) = Q^pi_VSP(s^, â), for a random stochastic policy and every pair, to 1e-9."""
    dec, vsp, state_of, pair_of = both(task, memory)
    policy = random_policy(dec, np.random.default_rng(policy_seed))
    values, q = evaluate(dec, policy)
    hat_values, hat_q = evaluate(vsp, lift(policy, state_of))
    assert_close(hat_q, q[pair_of])
    assert_close(hat_values, values[state_of])


@given(task=tasks(), memory=MEMORIES, policy_seed=SEEDS, q_seed=SEEDS)
def test_one_application_of_the_policys_operator_commutes_with_the_correspondence(
    task: TabularTask, memory: str, policy_seed: int, q_seed: int
) -> None:
    """Lemma 1, for every horizon: the expectation over õ_c and ã_c drops out of each step of the return."""
    dec, vsp, state_of, pair_of = both(task, memory)
    policy = random_policy(dec, np.random.default_rng(policy_seed))
    q = np.random.default_rng(q_seed).normal(size=len(dec.rewards))
    stepped = bellman_evaluation(dec, q, policy)
    hat_stepped = bellman_evaluation(vsp, q[pair_of], lift(policy, state_of))
    assert_close(hat_stepped, stepped[pair_of], values_scale(dec), tolerance=1e-12)
