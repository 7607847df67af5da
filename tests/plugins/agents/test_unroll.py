"""The fused unroll against one GRU cell after the other."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.agents import fused_gru
from plugins.agents.packing import ROWS_PER_CHUNK, pack
from plugins.controllers.async_mac import AsyncMAC
from tests.plugins.acting import settings

OBS = 6


def build(dtype: torch.dtype, **changes: Any) -> AsyncMAC:
    """A controller of 3 agents with 5 actions."""
    torch.manual_seed(1)
    mac = AsyncMAC({"obs": {"vshape": OBS}}, {"agents": 3}, settings(**changes))
    mac.agent.to(dtype)
    with torch.no_grad():
        for parameter in mac.parameters():
            parameter.mul_(3.0)  # gates that reach into their curves
    mac.init_hidden(1)
    return mac


def episodes(lengths: list[int], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """A batch of episodes of `lengths` stored steps, with rubbish after their ends."""
    generator = torch.Generator().manual_seed(2)
    n_steps = max(lengths)
    filled = (torch.arange(n_steps) < torch.tensor(lengths).unsqueeze(1)).long().unsqueeze(-1)
    return {
        "filled": filled,
        "obs": torch.randn(len(lengths), n_steps, 3, OBS, generator=generator, dtype=dtype),
        "actions": torch.randint(5, (len(lengths), n_steps, 3, 1), generator=generator),
    }


def step_by_step(mac: AsyncMAC, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The same by torch.nn.GRUCell and torch.cat, one step after the other, padding and all."""
    obs, agent = batch["obs"], mac.agent
    n_episodes, n_steps = obs.shape[:2]
    h = obs.new_zeros(n_episodes * 3, agent.hidden_dim)
    q_steps, h_steps = [], []
    for t in range(n_steps):
        parts = [obs[:, t]]
        if mac._uses_last_action:
            last = torch.nn.functional.one_hot(batch["actions"][:, t - 1, :, 0], 5).to(obs.dtype)
            parts.append(last if t > 0 else torch.zeros_like(last))
        if mac._uses_agent_id:
            parts.append(torch.eye(3, dtype=obs.dtype).expand(n_episodes, 3, 3))
        x = torch.relu(agent.fc1(torch.cat(parts, -1).view(n_episodes * 3, -1)))
        h = agent.rnn(x, h) if agent.use_rnn else torch.relu(agent.rnn(x))
        q_steps.append(agent.fc2(h).view(n_episodes, 3, -1))
        h_steps.append(h.view(n_episodes, 3, -1))
    filled = batch["filled"].unsqueeze(-1)
    return torch.stack(q_steps, 1) * filled, torch.stack(h_steps, 1) * filled


def relative_gap(given: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference over the largest number expected."""
    given, expected = given.detach(), expected.detach()
    return float((given - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


CHANGES = [
    {},
    {"use_rnn": False},
    {"obs_last_action": False},
    {"obs_agent_id": False},
    {"obs_last_action": False, "obs_agent_id": False},
]
EDGE = ROWS_PER_CHUNK // 6  # steps of a chunk of two episodes: one of them ends where the chunk does
LENGTHS = [[9, 1, 5, 9], [40, 40, 40], [1], [ROWS_PER_CHUNK // 3 + 50, 3, 20, 1, 100], [EDGE, EDGE + 30]]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)}x{max(lengths)}")
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_unroll_and_its_gradients_equal_a_loop_over_cells(
    changes: dict[str, bool], lengths: list[int], dtype: torch.dtype, tolerance: float
) -> None:
    mac, batch = build(dtype, **changes), episodes(lengths, dtype)
    expected = step_by_step(mac, batch)
    weights = [torch.randn_like(values) for values in expected]
    given = mac.unroll(batch, return_hidden=True)
    for one, other in zip(given, expected):
        assert relative_gap(one, other) < tolerance

    parameters = list(mac.parameters())
    gradients = [
        torch.autograd.grad(
            sum((values * weight).sum() for values, weight in zip(both, weights)),
            parameters,
            allow_unused=True,
        )
        for both in (given, expected)
    ]
    for one, other in zip(*gradients):
        if other is None:  # a memoryless network's bias that a batch of zeros never reaches
            assert one is None
        else:
            assert relative_gap(one, other) < tolerance


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_any_lengths_give_what_the_loop_gives(lengths: list[int]) -> None:
    mac, batch = build(torch.float64), episodes(lengths, torch.float64)
    expected, _ = step_by_step(mac, batch)
    given_q = mac.unroll(batch)
    weight = torch.randn_like(expected)
    ours = torch.autograd.grad((given_q * weight).sum(), list(mac.parameters()))
    theirs = torch.autograd.grad((expected * weight).sum(), list(mac.parameters()))
    assert relative_gap(given_q, expected) < 1e-10
    assert max(relative_gap(one, other) for one, other in zip(ours, theirs)) < 1e-10


@pytest.mark.parametrize("use_rnn", [True, False])
def test_without_gradient_the_numbers_are_the_same(use_rnn: bool) -> None:
    mac, batch = build(torch.float64, use_rnn=use_rnn), episodes([30, 4, 11], torch.float64)
    with torch.no_grad():
        q, hidden = mac.unroll(batch, return_hidden=True)
    expected_q, expected_hidden = mac.unroll(batch, return_hidden=True)
    assert not q.requires_grad
    torch.testing.assert_close((q, hidden), (expected_q, expected_hidden), rtol=0, atol=1e-12)


def test_steps_after_an_end_read_zero_whatever_the_batch_holds_there() -> None:
    mac, batch = build(torch.float32), episodes([3, 8], torch.float32)
    before = mac.unroll(batch)
    batch["obs"][0, 3:] = float("nan")
    after = mac.unroll(batch)
    assert (after[0, 3:] == 0).all()
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_two_unrolls_before_a_backward_do_not_share_buffers() -> None:
    mac, batch = build(torch.float64), episodes([6, 9], torch.float64)
    other = episodes([9, 2], torch.float64)
    (expected,) = torch.autograd.grad(mac.unroll(batch).sum(), [mac.agent.fc1.weight])
    first = mac.unroll(batch)
    second = mac.unroll(other)
    (given_gradient,) = torch.autograd.grad(first.sum(), [mac.agent.fc1.weight])
    torch.testing.assert_close(given_gradient, expected)
    second.sum().backward()


def test_second_backward_through_one_unroll_is_refused() -> None:
    mac, batch = build(torch.float64), episodes([6], torch.float64)
    loss = mac.unroll(batch).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward ran twice") as error:
        loss.backward()
    assert str(error.value) == fused_gru.USED_TWICE


def test_packing_puts_longest_first_and_knows_the_row_before() -> None:
    """Lengths 1, 3, 2 with one agent: step 0 has episodes 1, 2, 0; step 1 has 1, 2; step 2 has 1."""
    packing = pack(torch.tensor([1, 3, 2]), n_steps=4, n_agents=1)
    assert packing.cells.tolist() == [4, 8, 0, 5, 9, 6]  # episode * 4 + step
    assert packing.previous_rows.tolist() == [0, 1, 2, 3, 4, 6]  # 3 rows of zeros stand before row 0
    assert [chunk.step_rows for chunk in packing.chunks] == [[3, 2, 1]]
