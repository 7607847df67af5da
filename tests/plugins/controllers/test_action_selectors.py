"""Choosing actions: epsilon-greedy, over an exploration policy, from policies."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plugins.controllers.action_selectors import EpsilonGreedy, MixtureSelector, SoftPolicies


def build(**changes: float) -> EpsilonGreedy:
    """Epsilon from 1 to 0.05 in 100 steps."""
    values: dict = dict(start=1.0, finish=0.05, anneal_time=100, evaluation=0.0, seed=3)
    values.update(changes)
    return EpsilonGreedy(**values)


@given(
    avail=hnp.arrays(np.uint8, (4, 3, 6), elements=st.integers(0, 1)),
    q=hnp.arrays(np.float32, (4, 3, 6), elements=st.floats(-1e6, 1e6, width=32)),
    t_env=st.integers(0, 200),
    test_mode=st.booleans(),
)
def test_only_available_actions_are_chosen(
    avail: np.ndarray, q: np.ndarray, t_env: int, test_mode: bool
) -> None:
    """Rows that allow nothing (steps never played) get action 0."""
    actions = build(evaluation=0.5).select(q, avail, t_env, test_mode)
    allowed = np.take_along_axis(avail, actions[..., None], -1)[..., 0]
    empty = avail.sum(-1) == 0
    assert actions.dtype == np.int64
    assert (allowed[~empty] == 1).all()
    assert (actions[empty] == 0).all()


def test_epsilon_falls_in_a_line_and_stays() -> None:
    """From 1.0 to 0.05 in 100 steps: a loss of 0.0095 a step."""
    selector = build()
    assert [round(selector.schedule(t), 6) for t in (0, 10, 50, 100, 1000)] == [1.0, 0.905, 0.525, 0.05, 0.05]


def test_without_exploration_the_best_available_action_is_taken() -> None:
    q = np.array([[[9.0, 1.0, 2.0, 3.0]]], np.float32)
    avail = np.array([[[0, 1, 1, 0]]], np.uint8)
    assert build().select(q, avail, 0, test_mode=True).tolist() == [[2]]


def test_exploration_draws_every_available_action_equally_often() -> None:
    """3 of 5 actions, 30,000 draws: each within 4 standard deviations (82) of 10,000."""
    avail = np.broadcast_to(np.array([1, 0, 1, 0, 1], np.uint8), (10_000, 3, 5))
    counts = np.bincount(build().select(np.zeros((10_000, 3, 5)), avail, 0, False).ravel(), minlength=5)
    assert counts[[1, 3]].tolist() == [0, 0]
    assert np.abs(counts[[0, 2, 4]] - 10_000).max() < 4 * 82


def test_testing_does_not_move_training() -> None:
    q, avail = np.zeros((2, 3, 6)), np.ones((2, 3, 6), np.uint8)
    alone, tested = build(evaluation=0.3), build(evaluation=0.3)
    for _ in range(5):
        tested.select(q, avail, 0, test_mode=True)
    assert (alone.select(q, avail, 0, False) == tested.select(q, avail, 0, False)).all()


def test_epsilon_for_the_log_is_that_of_training() -> None:
    selector = build()
    q, avail = np.zeros((1, 1, 2)), np.ones((1, 1, 2), np.uint8)
    selector.select(q, avail, 50, False)
    selector.select(q, avail, 50, True)
    assert selector.epsilon == pytest.approx(0.525)


def test_a_resumed_selector_goes_on_with_the_same_draws(tmp_path) -> None:
    """The state survives torch's safe loader."""
    q, avail = np.zeros((8, 3, 6)), np.ones((8, 3, 6), np.uint8)
    selector, resumed = build(), build(seed=99)
    selector.select(q, avail, 0, False)
    torch.save(selector.resume_state(), tmp_path / "state.th")
    resumed.load_resume_state(torch.load(tmp_path / "state.th", weights_only=True))
    assert (selector.select(q, avail, 0, False) == resumed.select(q, avail, 0, False)).all()


@pytest.mark.parametrize("name", ["epsilon-greedy", "policy"])
def test_a_test_episode_draws_by_its_own_seed_whatever_is_played_beside_it(name: str) -> None:
    """Episode 12, alone or the second of three, one of which ends first; not so without its seed."""
    policy = dict(start=0.0, finish=0.0, anneal_time=1, greedy_tests=False, mask_unavailable=True)
    make = {"epsilon-greedy": lambda seed: build(evaluation=0.7, seed=seed)}.get(name) or (
        lambda seed: SoftPolicies(**policy, seed=seed)
    )
    q, avail = np.zeros((3, 2, 7)), np.ones((3, 2, 7), np.uint8)
    together, alone = make(seed=1), make(seed=2)
    together.begin_tests([11, 12, 13])
    alone.begin_tests([12])
    plays = [np.arange(3)] * 5 + [np.array([1, 2])] * 15
    found = [together.select(q[: len(rows)], avail[: len(rows)], 0, True, rows) for rows in plays]
    mine = [actions[list(rows).index(1)].tolist() for rows, actions in zip(plays, found)]
    assert mine == [alone.select(q[:1], avail[:1], 0, True, np.array([0]))[0].tolist() for _ in plays]
    assert len(set(map(tuple, mine))) > 5
    assert [actions[0].tolist() for actions in found[:5]] != mine[:5]
    alone.begin_tests(None)
    assert mine != [alone.select(q[:1], avail[:1], 0, True, np.array([0]))[0].tolist() for _ in plays]


# epsilon-greedy over an exploration policy


def mixture(**changes: float) -> MixtureSelector:
    """Epsilon from 1 to 0 in 100 steps, beta from 0.4 over 1000 steps to at least 0.1."""
    values: dict = dict(start=1.0, finish=0.0, anneal_time=100, evaluation=0.0, seed=3)
    values |= dict(beta_start=0.4, beta_finish=0.1, t_max=1000) | changes
    return MixtureSelector(**values)


@given(
    avail=hnp.arrays(np.uint8, (4, 3, 6), elements=st.integers(0, 1)),
    logits=hnp.arrays(np.float32, (4, 3, 6), elements=st.floats(-1e6, 1e6, width=32)),
    t_env=st.integers(0, 200),
)
def test_a_mixture_chooses_only_what_is_available(avail: np.ndarray, logits: np.ndarray, t_env: int) -> None:
    """Logits of any size; a row with one action has no choice, a row with none (never played) gets action 0."""
    actions = mixture(beta_start=0.9, beta_finish=0.9).select_with_policy(-logits, logits, avail, t_env)
    allowed = np.take_along_axis(avail, actions[..., None], -1)[..., 0]
    empty = avail.sum(-1) == 0
    assert actions.dtype == np.int64
    assert (allowed[~empty] == 1).all() and (actions[empty] == 0).all()


def test_the_policys_share_falls_in_a_line_and_stays() -> None:
    """0.4 (1 - t / 1000), at least 0.1."""
    selector = mixture()
    assert [round(selector.beta_schedule(t), 6) for t in (0, 500, 750, 900, 5000)] == [0.4, 0.2, 0.1, 0.1, 0.1]
    selector.select_with_policy(*np.zeros((2, 1, 1, 3), np.float32), np.ones((1, 1, 3)), 50)
    assert (selector.epsilon, round(selector.beta, 6)) == (0.5, 0.38)


@pytest.mark.parametrize("t_env, epsilon, beta", [(0, 1.0, 0.4), (50, 0.5, 0.38), (100, 0.0, 0.36)])
def test_frequencies_are_those_of_the_mixture(t_env: int, epsilon: float, beta: float) -> None:
    """epsilon uniform + (1 - epsilon) (beta softmax + (1 - beta) greedy), over the three available actions."""
    n = 40_000
    avail = np.broadcast_to(np.array([0, 1, 1, 1], np.uint8), (n, 1, 4))
    q = np.broadcast_to(np.array([9.0, 3.0, 1.0, 2.0], np.float32), (n, 1, 4))
    logits = np.log(np.broadcast_to(np.array([50.0, 1.0, 1.0, 8.0], np.float32), (n, 1, 4)))
    actions = mixture().select_with_policy(q, logits, avail, t_env)
    found = np.bincount(actions.ravel(), minlength=4) / n
    policy, greedy = np.array([0.0, 0.1, 0.1, 0.8]), np.array([0.0, 1.0, 0.0, 0.0])
    uniform = np.array([0.0, 1.0, 1.0, 1.0]) / 3
    expected = epsilon * uniform + (1 - epsilon) * (beta * policy + (1 - beta) * greedy)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_agents_of_one_step_explore_apart() -> None:
    """Each agent draws for itself whether it follows the policy."""
    q = np.tile(np.array([1.0, 0.0], np.float32), (2000, 3, 1))
    logits = np.tile(np.array([-50.0, 0.0], np.float32), (2000, 3, 1))
    selector = mixture(beta_start=0.5, beta_finish=0.5)
    actions = selector.select_with_policy(q, logits, np.ones((2000, 3, 2)), 100)
    assert {1, 2} <= set(actions.sum(1).tolist())


def test_a_resumed_mixture_draws_what_would_have_come() -> None:
    q, logits, avail = np.zeros((5, 3, 6)), np.zeros((5, 3, 6)), np.ones((5, 3, 6))
    selector, other = mixture(), mixture(seed=4)
    selector.select_with_policy(q, logits, avail, 50)
    other.load_resume_state(selector.resume_state())
    for t_env in (60, 120):
        expected = selector.select_with_policy(q, logits, avail, t_env)
        assert (other.select_with_policy(q, logits, avail, t_env) == expected).all()
