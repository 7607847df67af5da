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
from plugins.config.schema import load_alg
from plugins.controllers.async_mac import AsyncMAC
from plugins.learners import targets
from plugins.mixers import MIXERS, Sizes, build_mixer
from plugins.mixers.base import Extras
from plugins.vsp.indices import decision_steps, gather_steps, proxy_utilities, read_status
from tests.plugins.acting import settings

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
        obs_decision=somewhere(R, N, O), actions_onehot=somewhere(R, N, A), q_greedy=somewhere(R, N),
        is_greedy=executing, hidden=hidden, hidden_decision=hidden, noise=hidden, noise_decision=hidden,
        positions=somewhere(R, N, 10, dtype=torch.int64),
    )  # fmt: skip
    mixer.observe_proxies(q_proxy.unsqueeze(0), q_proxy.unsqueeze(0), executing.unsqueeze(0))
    q_tot = mixer(somewhere(R, N).requires_grad_(), somewhere(R, S), extras)
    (q_tot.sum() + sum(mixer.auxiliary_losses(extras).values())).backward()
    assert "meta" == q_tot.device.type


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
