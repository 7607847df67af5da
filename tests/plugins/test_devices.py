"""Tensors follow their input's device, seen without a GPU: on the device `meta`, which mixes with no other.

Nothing is computed there, so what asks a tensor for its numbers (packing, choosing, logging) is not covered,
nor is an index that lies elsewhere.
"""

import dataclasses
from typing import Any

import pytest
import torch

from plugins.agents.inputs import AgentInputs
from plugins.agents.packing import pack
from plugins.agents.rnn import RnnAgent
from plugins.agents.squeeze import Squeeze
from plugins.config.schema import load_alg
from plugins.controllers.async_mac import AsyncMAC
from plugins.controllers.ices_mac import IcesMAC
from plugins.ices.exploration import log_policy, policy_loss, value_loss
from plugins.ices.world import VIEWS, WorldModel, hide
from plugins.ices.world_training import ChangeMoments
from plugins.controllers.policy_mac import last_decided
from plugins.learners import targets
from plugins.learners.actor_critic import policy_terms
from plugins.learners.timeline import gae, n_step_returns, read_timeline
from plugins.mixers import MIXERS, Sizes, build_mixer
from plugins.mixers.base import Extras
from plugins.vsp.indices import decision_steps, gather_steps, proxy_utilities, read_status
from tests.plugins.acting import settings
from tests.plugins.tiny import make_actor_critic, play

B, T1, N, A, O, S, R, H = 4, 9, 3, 6, 5, 7, 11, 8

MIXERS_AND_OPTIONS = [(name, {}) for name in MIXERS] + [
    ("mvd", {"mvd_form": form, "mvd_order": 3, "mvd_c_tracker": "per_agent"})
    for form in ("d", "s", "gate", "relu_heads")
] + [
    ("mvd", {"mvd_interaction_mean": True, "mvd_hat_state": True, "mvd_roles": 3, "mvd_free_executing": True}),
    ("mvd", {"mvd_low_rank": 2, "mvd_order": 3, "mvd_c_tracker": "ema"}),
    ("qatten", {"qatten_key_source": "state_slice", "qatten_own_state_size": 2}),
]  # fmt: skip


def somewhere(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor on no device that holds numbers."""
    return torch.zeros(*shape, dtype=dtype, device="meta")


@pytest.mark.parametrize("name, options", MIXERS_AND_OPTIONS)
def test_a_mixer_makes_nothing_on_another_device(name: str, options: dict[str, Any]) -> None:
    config = load_alg("mvd" if name == "boltzmann_heads" else name) | options
    mixer = build_mixer(name, Sizes(N, S, O, A), config | {"hidden_dim": H}).to("meta")
    executing = somewhere(R, N, dtype=torch.bool)
    q_proxy = somewhere(R, N).requires_grad_()
    hidden = somewhere(R, N, H)
    extras = Extras(
        q_proxy=q_proxy, deciding=executing, executing=executing, obs=somewhere(R, N, O),
        obs_decision=somewhere(R, N, O), state_decision=somewhere(R, N, S),
        actions_onehot=somewhere(R, N, A), q_greedy=somewhere(R, N),
        is_greedy=executing, hidden=hidden, hidden_decision=hidden, noise=hidden, noise_decision=hidden,
        positions=somewhere(R, N, 10, dtype=torch.int64),
    )  # fmt: skip
    mixer.observe_proxies(q_proxy.unsqueeze(0), q_proxy.unsqueeze(0), executing.unsqueeze(0))
    q_tot = mixer(somewhere(R, N).requires_grad_(), somewhere(R, S), extras)
    (q_tot.sum() + sum(mixer.auxiliary_losses(extras).values())).backward()
    told = mixer.explain(somewhere(R, N), somewhere(R, S), extras)
    assert {"meta"} == {tensor.device.type for tensor in (q_tot, *told[:-1], *told.own.values())}


def test_what_is_made_on_another_device_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="meta"):
        somewhere(R, N) + torch.zeros(N)


@pytest.mark.parametrize("use_rnn", [True, False])
def test_an_unroll_makes_nothing_on_another_device(use_rnn: bool) -> None:
    packing = pack(torch.tensor([9, 5, 3, 7]), T1, N)
    packing = dataclasses.replace(
        packing, cells=packing.cells.to("meta"), previous_rows=packing.previous_rows.to("meta")
    )
    agent = RnnAgent(O + A + N, H, A, use_rnn, N).to("meta")
    actions = somewhere(B, T1, N, 1, dtype=torch.int64)
    inputs = AgentInputs(somewhere(B, T1, N, O), actions, A, True, torch.float32, packing)
    q, hidden = agent.unroll(inputs, packing, True)
    assert hidden is not None
    (q.sum() + hidden.sum()).backward()
    with torch.no_grad():
        q, _ = agent.unroll(inputs, packing, True)
    assert "meta" == q.device.type


def test_a_step_of_the_controller_makes_nothing_on_another_device() -> None:
    mac = AsyncMAC({"obs": {"vshape": O}}, {"agents": N}, settings(n_agents=N, n_actions=A))
    mac.agent.to("meta")
    mac.init_hidden(B)
    q, hidden = mac.step(somewhere(B, N, O), somewhere(B, N, dtype=torch.int64), mac.hidden_states)
    assert ("meta", "meta") == (q.device.type, hidden.device.type)
    assert "cpu" == mac._acting_buffer.device.type  # arrays are written into it


def explored() -> dict[str, torch.Tensor]:
    """A batch on no device."""
    shapes = {
        "obs": (N, O), "state": (S,), "avail_actions": (N, A), "actions": (N, 1), "reward": (1,),
        "terminated": (1,), "filled": (1,),
    }  # fmt: skip
    whole = ("avail_actions", "actions", "terminated", "filled")
    return {
        name: somewhere(B, T1, *shape, dtype=torch.int64 if name in whole else torch.float32)
        for name, shape in shapes.items()
    }


def ices_parts() -> tuple[IcesMAC, WorldModel]:
    """The controller and the world model of ICES, on no device."""
    changes = {"ices_beta_start": 0.1, "ices_beta_finish": 0.1, "t_max": 100}
    scheme = {"obs": {"vshape": O}, "state": {"vshape": S}}
    mac = IcesMAC(scheme, {"agents": N}, settings(n_agents=N, n_actions=A, **changes))
    world = WorldModel(n_agents=N, n_actions=A, state_dim=S, embedding_dim=2, hidden_dim=H, latent_dim=4)
    for module in (mac.agent, mac.explorer):
        module.to("meta")
    mac.init_hidden(B)
    return mac, world.to("meta")


def test_the_exploration_policy_makes_nothing_on_another_device() -> None:
    mac, _ = ices_parts()
    assert "meta" == mac.explorer_hidden.device.type
    assert "cpu" == mac._explorer_buffer.device.type  # arrays are written into it
    batch, last = explored(), somewhere(B, N, dtype=torch.int64)
    seen = mac._with_state(batch["obs"][:, 0], batch["state"][:, 0])
    logits, hidden = mac.explorer_step(seen, last, mac.explorer_hidden)
    log_nu, entropy = log_policy(logits, batch["avail_actions"][:, 0])
    loss = policy_loss(log_nu[..., 0], entropy, entropy.detach(), entropy.detach(), 0.1)
    (loss + value_loss(hidden.sum(-1), entropy.detach())).backward()
    assert "meta" == loss.device.type


def test_the_world_model_makes_nothing_on_another_device() -> None:
    _, world = ices_parts()
    state, actions, agents = somewhere(R, S), somewhere(R, N, dtype=torch.int64), somewhere(R, dtype=torch.int64)
    made = [world.intrinsic_reward(state, actions, agents, agents), hide(actions, agents)]
    for view in VIEWS:
        made += [world.elbo(view, state, actions, state, somewhere(R, 4)), world.baseline(view, state, actions)]
    (made[2].sum() + made[3].sum()).backward()
    assert {"meta"} == {tensor.device.type for tensor in made}


def test_changes_are_standardised_where_they_are() -> None:
    """The statistics stay on the CPU, in float64; what they standardise stays where it was."""
    moments = ChangeMoments(S)
    moments.update(torch.randn(R, S))
    assert ("cpu", "meta") == (moments.mean.device.type, moments.standardise(somewhere(R, S)).device.type)


def test_indices_and_targets_make_nothing_on_another_device() -> None:
    avail, filled = somewhere(B, T1, N, A, dtype=torch.int32), somewhere(B, T1, 1, dtype=torch.int64)
    status = read_status(avail, filled)
    decision_t = decision_steps(status.deciding)
    gather_steps(somewhere(B, T1, N, O), decision_t)
    made = [proxy_utilities(somewhere(B, T1, N), decision_t, status.executing)]
    row = somewhere(B, T1 - 1, 1)
    made += [targets.step_mask(filled, row), targets.one_step_targets(row, row, row, 0.9)]
    made += [targets.td_lambda_targets(row, row, row, row, 0.9, 0.5), targets.squared_error(row, row)]
    made += [targets.greedy_actions(somewhere(B, T1, N, A), avail)]
    assert {"meta"} == {tensor.device.type for tensor in made}


@pytest.mark.parametrize("alg", ["acac", "ippo", "mac_iaicc"])
def test_own_decisions_and_their_networks_make_nothing_on_another_device(alg: str) -> None:
    """Everything behind the numbers that lengths and choices need, which are given here."""
    learner: Any = make_actor_critic(alg, play(0), obs_last_action=True)
    for module in learner._modules().values():
        module.to("meta")
    learner.mac.init_hidden(B)
    batch = {
        "obs": somewhere(B, T1, N, 5), "avail_actions": somewhere(B, T1, N, A, dtype=torch.int32),
        "actions": somewhere(B, T1, N, 1, dtype=torch.int64), "filled": somewhere(B, T1, 1, dtype=torch.int64),
        "reward": somewhere(B, T1, 1), "terminated": somewhere(B, T1, 1, dtype=torch.uint8),
    }  # fmt: skip
    status = read_status(batch["avail_actions"], batch["filled"])
    made = read_timeline(
        status, batch["filled"], batch["terminated"][:, :-1], batch["reward"][:, :-1], 0.9, padded=False,
        drop_open=True,
    )  # fmt: skip
    values = somewhere(B, T1, N)
    outputs = [*made, gae(made, values, 0.9, 0.8), n_step_returns(made, values, 0.9, 3)]
    squeeze = KnownSqueeze(B, T1, N)
    inputs = learner.mac.unroll_inputs(batch, status.deciding, squeeze)
    avail = batch["avail_actions"]
    if alg == "mac_iaicc":
        logits = learner.mac.unroll_at(inputs, squeeze)
        outputs += [inputs, logits, learner.critic(somewhere(B, 4, N * (5 + A)))]
        outputs += [learner.mac.action_selector.log_policy(logits, avail, 0.3)]
        outputs += policy_terms(logits.flatten(0, 2), batch["actions"].flatten())
        outputs += [last_decided(batch["actions"][..., 0], status.deciding)]
    if alg == "acac":
        outputs += [learner.critic(somewhere(7, N, 8))]
    assert {"meta"} == {tensor.device.type for tensor in outputs}
    assert "meta" == learner.mac._last_decided.device.type


class KnownSqueeze(Squeeze):
    """Four own steps each, without looking at numbers."""

    def __init__(self, n_episodes: int, n_steps: int, n_agents: int):
        self._n_steps = n_steps
        self.lengths = somewhere(n_episodes, n_agents, dtype=torch.int64)
        self.steps = somewhere(n_episodes, 4, n_agents, dtype=torch.int64)
        self.valid = somewhere(n_episodes, 4, n_agents, dtype=torch.bool)
