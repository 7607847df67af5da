"""Our mixers give the numbers that the reference implementations gave: values, gradients, gradient norms."""

import pytest
import torch

from plugins.mixers.base import Extras
from plugins.mixers.interaction import agent_sets
from plugins.mixers.mvd_heads import LogMeanExp, ReluMlp
from plugins.mixers.qatten import QattenMixer
from plugins.mixers.qmix import QMixer
from plugins.mixers.vdn import VDNMixer
from tests.plugins.parity import assert_gradient_norms, assert_recorded, over
from tests.plugins.tiny import Given, make_mvd


def compare(case, mixer):
    """Load the case's parameters, mix its inputs, compare all that was recorded."""
    mixer = mixer.double()
    mixer.load_state_dict(case.state_dict())
    q = case["in.agent_qs"].requires_grad_()
    q_tot = mixer(q, case["in.states"])
    q_tot.sum().backward()
    assert_recorded(case, "out.q_tot", q_tot)
    assert_recorded(case, "grad.agent_qs", q.grad)
    assert_gradient_norms(case, mixer.named_parameters())


@over("vdn")
def test_vdn_parity(case):
    compare(case, VDNMixer(case.meta["n_agents"], case.meta["state_dim"], proxies=False))


@over("qmix")
def test_qmix_parity(case):
    keys = ("n_agents", "state_dim", "mixing_embed_dim", "hypernet_layers", "hypernet_embed")
    compare(case, QMixer(**{key: case.meta[key] for key in keys}, proxies=False))


@over("qatten")
def test_qatten_parity(case):
    meta = case.meta
    mixer = QattenMixer(
        n_agents=meta["n_agents"],
        state_dim=meta["state_dim"],
        obs_dim=1,
        heads=meta["n_attention_head"],
        query_embed=meta["n_query_embedding_layer1"],
        key_embed=meta["n_key_embedding_layer1"],
        head_embed=meta["n_head_embedding_layer1"],
        constant_embed=meta["n_constrant_value"],
        weighted_heads=meta["type"] == "weighted",
        key_source="state_slice",
        own_state_size=meta["agent_own_state_size"],
        proxies=False,
    )
    recorded = case.state_dict()
    if meta["type"] != "weighted":  # the reference builds the unused layer
        recorded = {name: value for name, value in recorded.items() if "head_embedding" not in name}
    mixer = mixer.double()
    mixer.load_state_dict(recorded)
    q = case["in.agent_qs"].requires_grad_()
    states = case["in.states"]
    q_tot = mixer(q, states)
    q_tot.sum().backward()
    assert_recorded(case, "out.q_tot", q_tot)
    assert_recorded(case, "grad.agent_qs", q.grad)
    assert_recorded(case, "mid.attention", mixer.attention(states.flatten(0, 1), Extras()))
    for name, parameter in mixer.named_parameters():
        assert_recorded(case, f"gradnorm.{name}", parameter.grad.norm())


@pytest.mark.parametrize("order", [1, 2, 3])
@over("mvd_core")
def test_mvd_core_parity(case, order):
    n = case.meta["n_agents"]  # two agents have no order 3: what is recorded equals order 2
    assert order < 3 or n == 2 or agent_sets(n, 2).tolist() == case.meta["pairs"]
    mixer = make_mvd(n, order=min(order, n), form="d")
    mixer.minimum.value.copy_(case["in.C"])
    mixer.first = Given(torch.cat([case["in.a_real"], case["in.a_proxy"]], dim=1))
    mixer.bias = Given(case["in.bias"].unsqueeze(1))
    nets = [Given(case[f"in.{name}"].flatten(1)) for name in ("c_pair", "c_triple")]
    mixer.interactions = torch.nn.ModuleList(nets[: len(mixer.interactions)])
    u, p = case["in.u"].requires_grad_(), case["in.p"].requires_grad_()
    extras = Extras(q_proxy=p, deciding=case["in.deciding"], executing=case["in.executing"])
    q_tot = mixer(u, torch.zeros(len(u), 2).double(), extras)
    q_tot.sum().backward()
    assert_recorded(case, f"out.core_K{order}", q_tot)
    assert_recorded(case, f"grad.u_K{order}", u.grad)
    assert_recorded(case, f"grad.p_K{order}", p.grad)


@over("mvd_core")
def test_mvd_heads_parity(case):
    x = case["in.heads"]
    assert_recorded(case, "out.tail_s", LogMeanExp()(x, x))
    heads = ReluMlp(1, x.shape[1], case["in.b1"].shape[1], 4, 4, "relu")
    heads.w_1, heads.b_1 = Given(case["in.W1"].flatten(1)), Given(case["in.b1"])
    heads.w_2, heads.value = Given(case["in.w2"]), Given(case["in.V"].unsqueeze(1))
    assert_recorded(case, "out.tail_m", heads(x, x))
