"""Orthogonal weights: of linear layers only, small where a network's outputs are."""

import pytest
import torch
from torch import nn

from plugins.agents.macro import IndividualActors
from plugins.agents.rnn import RnnAgent
from plugins.controllers.policy_mac import PolicyMAC
from plugins.learners.ippo import IppoLearner
from tests.plugins.tiny import make_actor_critic, play

AGENTS = {"rnn": RnnAgent, "individual_actors": IndividualActors}


def gains(layer: nn.Linear) -> torch.Tensor:
    """The singular values of a layer's weights, which were drawn in single precision."""
    return torch.linalg.svdvals(layer.weight.detach())


@pytest.mark.parametrize("agent", AGENTS)
def test_policies_begin_near_uniform(agent: str) -> None:
    """Singular values: 0.01 of the layers that give logits, 1 of the other linear ones; the cells keep torch's own."""
    alg = {"rnn": "ippo", "individual_actors": "mac_iaicc"}[agent]
    mac: PolicyMAC = make_actor_critic(alg, play(0), agent=agent, orthogonal_init=True).mac
    assert isinstance(mac.agent, AGENTS[agent])
    linear = [layer for layer in mac.agent.modules() if isinstance(layer, nn.Linear)]
    small = [layer for layer in linear if torch.allclose(gains(layer), torch.tensor(0.01, dtype=torch.float64))]
    assert [id(layer) for layer in small] == [id(layer) for layer in mac.agent.output_layers]
    for layer in linear:
        assert not layer.bias.any()
        if not any(layer is each for each in small):
            ones = torch.ones(min(layer.weight.shape), dtype=torch.float64)
            torch.testing.assert_close(gains(layer), ones, rtol=0, atol=1e-5)
    cells = [each for each in mac.agent.modules() if isinstance(each, (nn.GRUCell, nn.GRU))]
    assert cells and all(bias.any() for cell in cells for name, bias in cell.named_parameters() if "bias" in name)


def test_every_action_is_about_as_likely_at_first() -> None:
    for agent in AGENTS:
        alg = {"rnn": "ippo", "individual_actors": "mac_iaicc"}[agent]
        learner = make_actor_critic(alg, play(1), agent=agent, orthogonal_init=True)
        played = learner.read(play(1))
        logits = learner.mac.unroll_at(played.inputs, played.squeeze).detach()
        assert logits.abs().max() < 0.1, agent


def test_ippos_critic_begins_small_too() -> None:
    learner: IppoLearner = make_actor_critic("ippo", play(0), orthogonal_init=True)
    torch.testing.assert_close(gains(learner.critic.fc2), torch.tensor([0.01], dtype=torch.float64), rtol=0, atol=1e-7)
