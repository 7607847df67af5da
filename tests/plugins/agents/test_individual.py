"""NA2Q's agent: the fused unroll against a loop, and that agents differ by their last layer alone."""

import pytest
import torch

from plugins.controllers.async_mac import AsyncMAC
from tests.plugins.acting import settings
from tests.plugins.agents.test_unroll import OBS, episodes, relative_gap


def build(**changes):
    """A controller of 3 agents with 5 actions, in float64."""
    torch.manual_seed(1)
    changes = {"agent": "rnn_individual", "obs_agent_id": False} | changes
    mac = AsyncMAC({"obs": {"vshape": OBS}}, {"agents": 3}, settings(**changes))
    mac.agent.double()
    mac.init_hidden(1)
    return mac


def step_by_step(mac, batch):
    """Utilities and hidden states by one forward pass for each step, zeros after the ends."""
    n_episodes, n_steps = batch["obs"].shape[:2]
    mac.init_hidden(n_episodes)
    q_steps, h_steps = [], []
    for t in range(n_steps):
        q_steps.append(mac.forward(batch, t))
        h_steps.append(mac.hidden_states)
    filled = batch["filled"].unsqueeze(-1)
    return torch.stack(q_steps, 1) * filled, torch.stack(h_steps, 1) * filled


@pytest.mark.parametrize("use_rnn", [True, False])
@pytest.mark.parametrize("lengths", [[9, 1, 5, 9], [1], [400, 3, 20]], ids=str)
def test_unroll_and_its_gradients_equal_steps(use_rnn, lengths):
    mac, batch = build(use_rnn=use_rnn), episodes(lengths, torch.float64)
    expected = step_by_step(mac, batch)
    given = mac.unroll(batch, return_hidden=True)
    weights = [torch.randn_like(values) for values in expected]
    gradients = []
    for both in (given, expected):
        total = sum((values * weight).sum() for values, weight in zip(both, weights))
        gradients.append(torch.autograd.grad(total, list(mac.parameters()), allow_unused=True))
    for one, other in zip(given, expected):
        assert relative_gap(one, other) < 1e-10
    for one, other in zip(*gradients):
        assert (one is None) == (other is None)
        assert one is None or relative_gap(one, other) < 1e-10
    torch.testing.assert_close(mac.unroll(batch), given[0])
    with torch.no_grad():
        torch.testing.assert_close(mac.unroll(batch), given[0].detach())


def test_utilities_are_a_shared_and_an_own_part():
    mac, batch = build(), episodes([4, 6], torch.float64)
    q, hidden = mac.unroll(batch, return_hidden=True)
    agent, b, t = mac.agent, 1, 3
    for i in range(3):
        h = hidden[b, t, i]
        own = h @ agent.own_weight[i] + agent.own_bias[i]
        torch.testing.assert_close(q[b, t, i], agent.fc2(h) + own)


def test_acting_agrees_with_the_unroll_for_any_subset_of_episodes():
    mac, batch = build(), episodes([5, 5, 5], torch.float64)
    q = mac.unroll(batch).detach()
    mac.init_hidden(3)
    rows = torch.tensor([0, 2])
    avail = torch.ones(2, 3, 5).numpy()
    for t in range(5):
        last = batch["actions"][rows, t - 1, :, 0] if t else torch.full((2, 3), -1)
        actions = mac.act(
            batch["obs"][rows, t].numpy(), avail, last.numpy(), rows.numpy(), t_env=0, test_mode=True
        )
        assert actions.tolist() == q[rows, t].argmax(-1).tolist()
