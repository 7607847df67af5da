"""Our mixers give the numbers that the reference implementations gave: values, gradients, gradient norms."""

import pytest
import torch

from plugins.mixers.base import Extras
from plugins.mixers.interaction import agent_sets
from plugins.mixers.mvd_heads import LogMeanExp, ReluMlp
from plugins.mixers.na2q import Na2qMixer
from plugins.mixers.qatten import QattenMixer
from plugins.mixers.qmix import QMixer
from plugins.mixers.qplex import QplexMixer
from plugins.mixers.semantics import Semantics
from plugins.mixers.shape_functions import term_sets
from plugins.mixers.shaq import ShaqMixer
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
        masked_proxies="absent",
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


@over("qplex")
def test_qplex_parity(case):
    """Names are the reference's; its layers for an unused head are left out."""
    meta = case.meta
    mixer = QplexMixer(
        n_agents=meta["n_agents"],
        state_dim=meta["state_dim"],
        n_actions=meta["n_actions"],
        hypernet_embed=meta["hypernet_embed"],
        kernels=meta["num_kernel"],
        kernel_layers=meta["adv_hypernet_layers"],
        kernel_embed=meta["adv_hypernet_embed"],
        minus_one=meta["is_minus_one"],
        weighted_head=meta["weighted_head"],
        proxies=False,
    ).double()
    unused = () if meta["weighted_head"] else ("hyper_w_final", "V.")
    mixer.load_state_dict(
        {name: value for name, value in case.state_dict().items() if not name.startswith(unused)}
        if unused
        else case.state_dict()
    )
    q, q_greedy = case["in.agent_qs"].requires_grad_(), case["in.max_q_i"].requires_grad_()
    onehot = torch.nn.functional.one_hot(case["in.actions"].long(), meta["n_actions"]).double()
    state, extras = case["in.states"], Extras(actions_onehot=onehot, q_greedy=q_greedy)
    q_tot = mixer(q, state, extras)
    q_tot.sum().backward()
    assert_recorded(case, "out.q_tot", q_tot)
    assert_recorded(case, "grad.agent_qs", q.grad)
    assert_recorded(case, "grad.max_q_i", torch.zeros_like(q) if q_greedy.grad is None else q_greedy.grad)
    rows = q.flatten(0, 1), state.flatten(0, 1), extras.rows(2)
    assert_recorded(case, "out.v_tot", mixer.value(*rows))
    assert_recorded(case, "out.adv_tot", mixer.advantage(*rows))
    assert_recorded(case, "mid.lambda", mixer.si_weight(rows[1], rows[2].actions_onehot))
    if meta["weighted_head"]:
        w, b = mixer.transformation(rows[1])
        assert_recorded(case, "mid.w", w)
        assert_recorded(case, "mid.b", b)
    for name, parameter in mixer.named_parameters():
        assert_recorded(case, f"gradnorm.{name}", parameter.grad.norm())


@over("shaq")
def test_shaq_parity(case):
    """Names are the reference's; positions come as [.., orders, N] there."""
    meta = case.meta
    mixer = ShaqMixer(
        n_agents=meta["n_agents"],
        state_dim=meta["state_dim"],
        orders=meta["sample_size"],
        embed_dim=meta["mixing_embed_dim"],
        hypernet_layers=meta["hypernet_layers"],
        hypernet_embed=meta["hypernet_embed"],
    ).double()
    mixer.load_state_dict(case.state_dict())
    q, state = case["in.agent_qs"].requires_grad_(), case["in.states"]
    positions = case["in.positions"].long().transpose(2, 3)
    q_tot = mixer(q, state, Extras(is_greedy=case["in.max_filter"] != 0, positions=positions))
    q_tot.sum().backward()
    assert_recorded(case, "out.q_tot", q_tot)
    assert_recorded(case, "grad.agent_qs", q.grad)
    assert_recorded(case, "out.target_q_tot", mixer.make_target()(q, state))
    alpha = mixer.alpha(q.flatten(0, 1), state.flatten(0, 1), positions.flatten(0, 1))
    assert_recorded(case, "mid.alpha", alpha)
    assert_gradient_norms(case, mixer.named_parameters())


def na2q_names(n_agents, order):
    """Our parameter -> (the reference's, shape that turns its grouped convolutions into ours)."""
    names = {
        f"{ours}.{part}": (f"{theirs}.{part}", None)
        for ours, theirs, parts in (
            ("query_embedding", "query_embedding", ("weight", "bias")),
            ("key_embedding", "key_embedding", ("weight", "bias")),
            ("to_queries", "hyper_w.toqueries", ("weight",)),
            ("to_keys", "hyper_w.tokeys", ("weight",)),
            *[(f"bias.{k}", f"hyper_b_final.{k}", ("weight", "bias")) for k in (0, 2, 4)],
        )
        for part in parts
    }
    for size in range(1, order + 1):
        n_sets = sum(len(each) == size for each in term_sets(n_agents, order))
        widths = (size, 8, 4, 1)
        for layer, theirs in enumerate(("layers.0", "layers.1", "last_mlp")):
            prefix = f"concept_nary_nns.ord{size}_net0.{theirs}"
            shape = (n_sets, widths[layer + 1], widths[layer])
            names[f"shapes.{size - 1}.weights.{layer}"] = (f"{prefix}.weight", shape)
            names[f"shapes.{size - 1}.biases.{layer}"] = (f"{prefix}.bias", shape[:2])
    return names


@over("na2q")
def test_na2q_parity(case):
    meta = case.meta
    order = max(meta["mix_nary"])
    assert meta["mix_nary"] == list(range(1, order + 1))
    assert [list(each) for each in term_sets(meta["n_agents"], order)] == meta["term_agents"]
    mixer = Na2qMixer(
        n_agents=meta["n_agents"],
        state_dim=meta["state_dim"],
        obs_dim=1,
        hidden_dim=meta["rnn_hidden_dim"],
        order=order,
        attention_embed=meta["hypernet_embed"],
        bias_embed=meta["mixing_embed_dim"],
        vae_embed=1,
        vae_weight=0.0,
        vae_steps="played",
        proxies=False,
        masked_proxies="absent",
    ).double()
    names, recorded = na2q_names(meta["n_agents"], order), case.state_dict()
    assert sorted(theirs for theirs, _ in names.values()) == sorted(recorded)
    parameters = dict(mixer.named_parameters())
    assert set(names) == {name for name in parameters if not name.startswith("vae.")}
    with torch.no_grad():
        for ours, (theirs, shape) in names.items():
            parameters[ours].copy_(recorded[theirs].reshape(shape or recorded[theirs].shape))
    q, state, latent = (case[f"in.{name}"] for name in ("agent_qs", "states", "latent"))
    q.requires_grad_()
    mixer.latent = lambda extras: latent.flatten(0, 1)
    q_tot = mixer(q, state, Extras(hidden=latent, noise=latent, obs=latent[..., :1]))
    q_tot.sum().backward()
    assert_recorded(case, "out.q_tot", q_tot)
    assert_recorded(case, "grad.agent_qs", q.grad)
    assert_recorded(case, "mid.terms", mixer.terms(q.flatten(0, 1)))
    assert_recorded(case, "mid.bias", mixer.bias(state))
    credits = mixer.credits(state.flatten(0, 1), latent.flatten(0, 1), None)
    assert_recorded(case, "mid.term_weight", credits)
    for ours, (theirs, _) in names.items():
        assert_recorded(case, f"gradnorm.{theirs}", parameters[ours].grad.norm())


@over("na2q_vae")
def test_na2q_vae_parity(case):
    """Names are the reference's; the noise is handed in."""
    vae = Semantics(case.meta["hidden_dim"], case.meta["obs_dim"], width=32).double()
    vae.load_state_dict(case.state_dict())
    hidden, obs, noise = (case[f"in.{name}"] for name in ("hidden", "obs", "noise"))
    latent = vae.encode(hidden, noise)
    assert_recorded(case, "out.latent", latent.z)
    assert_recorded(case, "out.mean", latent.mean)
    assert_recorded(case, "out.std", latent.std)
    assert_recorded(case, "out.semantic_mask", vae.mask(latent.z))
    losses = vae.losses(hidden, obs, noise)
    for ours, theirs in (("vae_reconstruction", "recon"), ("vae_kl", "kl"), ("vae_mask", "l1")):
        assert_recorded(case, f"out.{theirs}_loss", losses[ours])
    sum(losses.values()).backward()
    assert_gradient_norms(case, vae.named_parameters())


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
