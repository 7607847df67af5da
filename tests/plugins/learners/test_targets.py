"""Targets and masks by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.learners.moments import RunningMoments
from plugins.learners.targets import (
    greedy_actions,
    one_step_targets,
    squared_error,
    step_mask,
    td_lambda_targets,
)


def column(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1)


def test_a_terminated_step_is_its_reward_and_a_truncated_one_bootstraps():
    targets = one_step_targets(column(1.0, 2.0), column(1.0, 0.0), column(10.0, 10.0), 0.9)
    assert targets.flatten().tolist() == [1.0, 11.0]


def test_targets_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes differ.*Nothing is broadcast"):
        one_step_targets(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 3), 0.9)


def test_the_squared_error_has_no_factor_one_half():
    assert float(squared_error(column(3.0, 0.0), column(1.0, 0.0))) == 2.0


def test_steps_after_an_end_are_masked_even_where_filled():
    filled = torch.ones(1, 4, 1)
    mask = step_mask(filled, column(0.0, 1.0, 0.0))
    assert mask.flatten().tolist() == [True, True, False]


def test_greedy_actions_ignore_what_is_not_available():
    q = torch.tensor([[9.0, -5.0, -7.0]])
    assert greedy_actions(q, torch.tensor([[0, 1, 1]])).tolist() == [[1]]


@given(seed=st.integers(0, 10_000), td_lambda=st.sampled_from([0.0, 0.6, 1.0]))
def test_lambda_returns_agree_with_the_recursion_written_step_by_step(seed, td_lambda):
    generator = torch.Generator().manual_seed(seed)
    reward, q_next = torch.randn(2, 3, 6, 1, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, 7, (3,), generator=generator)
    ends = torch.rand(3, generator=generator) < 0.5
    mask = (torch.arange(6) < lengths[:, None]).double().unsqueeze(2)
    terminated = torch.zeros(3, 6, 1).double()
    for b in range(3):
        terminated[b, lengths[b] - 1] = float(ends[b])
    ours = td_lambda_targets(reward, terminated, mask, q_next, 0.9, td_lambda)
    for b in range(3):
        later = float(q_next[b, lengths[b] - 1])
        for t in range(int(lengths[b]) - 1, -1, -1):
            ahead = (1 - td_lambda) * float(q_next[b, t]) + td_lambda * later
            later = float(reward[b, t]) + 0.9 * (1 - float(terminated[b, t])) * ahead
            assert float(ours[b, t]) == pytest.approx(later)
    assert float((ours * (1 - mask)).abs().max()) == 0.0


def test_running_moments_approach_mean_and_variance_of_all_that_was_seen():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double() * 3 + 7
    moments = RunningMoments()
    for part in values.split(130):
        moments.update(part)
    assert moments.mean == pytest.approx(float(values.mean()), rel=1e-4)
    assert moments.var == pytest.approx(float(values.var()), rel=1e-2)
    assert float(moments.restore(moments.standardise(values))[5]) == pytest.approx(float(values[5]))
    again = RunningMoments()
    again.load_resume_state(moments.resume_state())
    assert (again.mean, again.var, again.count) == (moments.mean, moments.var, moments.count)
