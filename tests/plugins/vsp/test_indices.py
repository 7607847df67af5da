"""Who decides, since when, and the gather that stands for a proxy's forward pass."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.vsp.indices import decision_steps, gather_steps, proxy_utilities, read_status
from tests.plugins.tiny import TinyMAC, play

SEEDS = st.integers(0, 10_000)


def naive_decision_step(deciding, b, t, i):
    while t > 0 and not deciding[b, t, i]:
        t -= 1
    return t


@given(seed=SEEDS)
def test_every_played_slot_has_one_status_and_no_other_slot_any(seed):
    batch = play(seed)
    status = read_status(batch["avail_actions"], batch["filled"])
    counts = sum(mask.long() for mask in status)
    assert torch.equal(counts, batch["filled"].expand_as(counts))


def test_steps_after_the_end_are_not_deciding():
    """Trap: their availability is all zero, neither noop nor continue."""
    status = read_status(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 1))
    assert not any(mask.any() for mask in status)


@given(seed=SEEDS)
def test_decision_steps_agree_with_looking_back(seed):
    batch = play(seed)
    deciding = read_status(batch["avail_actions"], batch["filled"]).deciding
    ours = decision_steps(deciding)
    for b, t, i in torch.cartesian_prod(*[torch.arange(n) for n in deciding.shape]).tolist():
        assert ours[b, t, i] == naive_decision_step(deciding, b, t, i)


def test_a_proxy_at_step_1_goes_back_to_step_0():
    deciding = torch.tensor([[[True], [False], [True]]])
    executing = torch.tensor([[[False], [True], [False]]])
    q = torch.tensor([[[5.0], [6.0], [7.0]]])
    assert proxy_utilities(q, decision_steps(deciding), executing).flatten().tolist() == [0.0, 5.0, 0.0]


@given(seed=SEEDS)
def test_gather_equals_a_second_forward_pass_in_value_and_gradient(seed):
    """Invariant: the proxy is the agent at its decision step: same input, same history, same parameters."""
    batch = play(seed, n_episodes=2, n_steps=6)
    torch.manual_seed(seed)
    mac = TinyMAC(5 + 6 + 3, 3, 6)
    mac.agent.double()
    status = read_status(batch["avail_actions"], batch["filled"])
    decision_t = decision_steps(status.deciding)
    weights = torch.randn(status.executing.shape).double()

    q_taken = mac.unroll(batch).gather(3, batch["actions"]).squeeze(3)
    gathered = proxy_utilities(q_taken, decision_t, status.executing)
    (gathered * weights).sum().backward()
    gradients = [parameter.grad.clone() for parameter in mac.parameters()]
    mac.agent.zero_grad()

    total = torch.zeros(()).double()
    for b, t, i in status.executing.nonzero().tolist():
        hidden = torch.zeros(1, 8).double()
        decided = int(decision_t[b, t, i])
        for step in range(decided + 1):  # the history up to the decision, run again
            q, hidden = mac.step(mac.inputs(batch, step)[b, i : i + 1], hidden)
        second = q[0, batch["actions"][b, decided, i, 0]]
        torch.testing.assert_close(gathered[b, t, i], second, rtol=0, atol=1e-12)
        total = total + second * weights[b, t, i]
    if total.requires_grad:
        total.backward()
        for ours, parameter in zip(gradients, mac.parameters()):
            torch.testing.assert_close(ours, parameter.grad, rtol=0, atol=1e-10)


def test_gather_steps_takes_vectors_too():
    values = torch.arange(12.0).view(1, 3, 2, 2)
    steps = torch.tensor([[[0, 0], [0, 1], [2, 1]]])
    taken = gather_steps(values, steps)
    assert taken[0, 2, 0].tolist() == values[0, 2, 0].tolist()
    assert taken[0, 2, 1].tolist() == values[0, 1, 1].tolist()


def test_wrong_shapes_are_one_clear_line():
    words = r"vsp: avail_actions has shape \(2, 3, 4\).*expected \[B, T, N, A\]"
    with pytest.raises(ValueError, match=words):
        read_status(torch.ones(2, 3, 4), torch.ones(2, 3, 1))
