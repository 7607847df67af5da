"""Lemma 2: the Bellman optimality operator, and the optimal action values, do not change with proxies.

Paper: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, appendix B, with the operator of Definition 3.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from async_envs.tabular.exact.solve import bellman_optimality, optimal, value_iteration
from async_envs.tabular.task import TabularTask
from tests.theory.models import assert_close, both, values_scale
from tests.theory.strategies import SEEDS, more_examples, tasks

MEMORIES = st.sampled_from(("kept", "printed"))


@more_examples(2)
@given(task=tasks(), memory=MEMORIES, q_seed=SEEDS)
def test_one_application_of_the_optimality_operator_commutes_with_the_correspondence(
    task: TabularTask, memory: str, q_seed: int
) -> None:
    """Lemma 2, Eq. 10: T*_VSP Q(s^, â) = T*_Dec Q(s, a) for any Q that s^ gets from its s, not only for some Q^pi."""
    dec, vsp, _, pair_of = both(task, memory)
    q = np.random.default_rng(q_seed).normal(scale=3.0, size=len(dec.rewards))
    assert_close(
        bellman_optimality(vsp, q[pair_of]), bellman_optimality(dec, q)[pair_of], values_scale(dec), tolerance=1e-12
    )


@given(task=tasks(), memory=MEMORIES)
def test_the_optimal_action_values_are_equal(task: TabularTask, memory: str) -> None:
    """Lemma 2: Q*_Dec(s, a) = Q*_VSP(s^, â): the fixed points agree, to 1e-9."""
    dec, vsp, _, pair_of = both(task, memory)
    q, hat_q = optimal(dec), optimal(vsp)
    assert_close(hat_q, q[pair_of])
    assert_close(bellman_optimality(vsp, q[pair_of]), q[pair_of])


@given(task=tasks().filter(lambda task: task.discount < 0.95), memory=MEMORIES, q_seed=SEEDS)
def test_value_iteration_reaches_them_from_any_start_even_one_that_tells_proxies_apart(
    task: TabularTask, memory: str, q_seed: int
) -> None:
    """Lemma 2 where it is silent: the start need not be a Q that s^ gets from its s."""
    dec, vsp, _, pair_of = both(task, memory)
    start = np.random.default_rng(q_seed).normal(scale=3.0, size=len(vsp.rewards))
    assert_close(value_iteration(vsp, start), optimal(dec)[pair_of], values_scale(dec))
