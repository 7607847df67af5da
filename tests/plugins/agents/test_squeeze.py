"""Squeezed rows and the gate on the full timeline are the same numbers, forwards and backwards."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plugins.agents.squeeze import Squeeze
from plugins.controllers.policy_mac import NO_ACTION
from plugins.vsp.indices import read_status
from tests.plugins.tiny import make_actor_critic, play

SEEDS = st.integers(0, 10_000)
AGENTS = {
    "rnn": {"agent": "rnn", "obs_agent_id": True, "obs_last_action": True},
    "without memory": {"agent": "rnn", "use_rnn": False},
    "no one-hots": {"agent": "rnn", "obs_agent_id": False, "obs_last_action": False},
    "individual": {"agent": "individual_actors", "obs_agent_id": False, "obs_last_action": True},
}


def gated(mac, batch, looks, deciding):
    """The gate, step by step: h <- D h' + (1 - D) h; what the networks give where agents look."""
    n_episodes, n_stored, n_agents = looks.shape
    hidden = mac.agent.init_hidden().new_zeros(n_episodes, n_agents, mac.agent.hidden_dim)
    last = torch.full((n_episodes, n_agents), NO_ACTION)
    outputs = []
    for t in range(n_stored):
        logits, stepped = mac.step(batch["obs"][:, t], last, hidden)
        gate = looks[:, t].unsqueeze(2).to(hidden.dtype)
        hidden = gate * stepped + (1 - gate) * hidden
        outputs.append(gate * logits)
        last = torch.where(deciding[:, t], batch["actions"][:, t, :, 0], last)
    return torch.stack(outputs, 1)


@given(looks=hnp.arrays(bool, (2, 6, 3)))
def test_rows_come_back_to_their_steps(looks):
    looks = torch.from_numpy(looks)
    squeeze = Squeeze(looks)
    values = torch.arange(1.0, 1 + looks.numel() * 2).view(2, 6, 3, 2)
    rows = squeeze.take(values)
    assert rows.shape[1] == max(1, int(looks.sum(1).max()))
    for b in range(2):
        for i in range(3):
            own = values[b, looks[b, :, i], i]
            assert torch.equal(rows[b, : len(own), i], own)
            assert not bool(rows[b, len(own) :, i].any())
    assert torch.equal(squeeze.put(rows), values * looks.unsqueeze(3))


@pytest.mark.parametrize("network", AGENTS)
@given(seed=SEEDS)
def test_gate_equals_squeeze(network, seed):
    """Invariant 10, for values and gradients."""
    batch = play(seed, n_episodes=3, n_steps=7)
    alg = "mac_iaicc" if network == "individual" else "ippo"
    learner = make_actor_critic(alg, batch, seed, **AGENTS[network])
    status = read_status(batch["avail_actions"], batch["filled"])
    played = learner.read(batch)
    looks = played.timeline.looks
    weights = torch.randn(*looks.shape, 6, dtype=torch.float64)
    found = []
    for logits in (
        learner.mac.unroll_at(played.inputs, played.squeeze),
        gated(learner.mac, batch, looks, status.deciding),
    ):
        learner.mac.agent.zero_grad()
        (logits * weights).sum().backward()
        found.append([logits.detach(), *[p.grad.clone() for p in learner.mac.parameters()]])
    for ours, slow in zip(*found):
        torch.testing.assert_close(ours, slow, rtol=0, atol=1e-12)


def test_the_squeezed_form_is_as_long_as_the_most_decisions():
    batch = play(1, n_episodes=2, n_steps=40, longest=8)
    learner = make_actor_critic("ippo", batch)
    played = learner.read(batch)
    most = int(played.timeline.looks.sum(1).max())
    assert played.inputs.shape[1] == most < 30
