"""Every mixer of the table: built by name, refuses what it cannot mix, treats masked proxies as absent."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.config.schema import load_alg
from plugins.mixers import MIXERS, Sizes, build_mixer, mixer_spec
from plugins.mixers.base import Extras

SIZES = Sizes(n_agents=3, state_dim=4, obs_dim=5, n_actions=4)
HIDDEN = 6  # width of the agents' hidden state
SEEDS = st.integers(0, 10_000)


def config_of(name):
    return load_alg("mvd" if name == "boltzmann_heads" else name)


def build(name, **changes):
    return build_mixer(name, SIZES, config_of(name) | {"hidden_dim": HIDDEN} | changes).double()


def rows(n_rows=6):
    """Random (q, state, extras) with all fields; proxies are 0 where nobody executes."""
    q, state = torch.randn(n_rows, 3), torch.randn(n_rows, 4)
    status = torch.randint(0, 3, (n_rows, 3))
    executing = status == 1
    extras = Extras(
        q_proxy=(torch.randn(n_rows, 3) * executing).double(),
        deciding=status == 0,
        executing=executing,
        obs=torch.randn(n_rows, 3, 5).double(),
        obs_decision=torch.randn(n_rows, 3, 5).double(),
        state_decision=torch.randn(n_rows, 3, 4).double(),
        actions_onehot=torch.eye(4).double()[torch.randint(0, 4, (n_rows, 3))],
        q_greedy=(q + torch.rand(n_rows, 3)).double(),
        is_greedy=torch.rand(n_rows, 3) < 0.5,
        hidden=torch.randn(n_rows, 3, HIDDEN).double(),
        hidden_decision=torch.randn(n_rows, 3, HIDDEN).double(),
        noise=torch.randn(n_rows, 3, HIDDEN).double(),
        noise_decision=torch.randn(n_rows, 3, HIDDEN).double(),
        positions=torch.rand(n_rows, 3, 10).argsort(dim=1),
    )
    return q.double(), state.double(), extras


@pytest.mark.parametrize("name", MIXERS)
def test_every_mixer_of_the_table_mixes_any_leading_shape(name):
    mixer = build(name)
    q, state, extras = rows(6)
    flat = mixer(q, state, extras)
    folded = Extras(*[None if x is None else x.view(2, 3, *x.shape[1:]) for x in extras])
    torch.testing.assert_close(mixer(q.view(2, 3, 3), state.view(2, 3, 4), folded), flat.view(2, 3, 1))


@pytest.mark.parametrize("name", MIXERS)
def test_wrong_shapes_are_one_clear_line(name):
    mixer = build(name)
    q, state, extras = rows()
    words = r"q_taken has shape \(6, 1\), expected \[\.\.\., N\] with N=n_agents=3"
    with pytest.raises(ValueError, match=words):
        mixer(q[:, :1], state, extras)
    with pytest.raises(ValueError, match=r"state has shape \(5, 4\), expected \(6, 4\)"):
        mixer(q, state[:5], extras)
    for field in sorted(mixer.needs):
        with pytest.raises(ValueError, match=f"{field} is nothing, expected"):
            mixer(q, state, extras._replace(**{field: None}))


def test_unknown_mixer_offers_the_nearest():
    with pytest.raises(ValueError, match="unknown mixer 'qmixx'. Did you mean 'qmix'"):
        mixer_spec("qmixx")


def test_a_missing_key_is_named():
    config = config_of("qmix")
    del config["hypernet_embed"]
    with pytest.raises(ValueError, match="qmix: key 'hypernet_embed' is missing"):
        build_mixer("qmix", SIZES, config)


PROXY_MIXERS = [name for name in MIXERS if MIXERS[name].vsp]


@pytest.mark.parametrize("name", PROXY_MIXERS)
@given(seed=SEEDS)
def test_masked_proxies_contribute_exactly_nothing(name, seed):
    """Invariant: what a masked slot is worth, saw and remembered changes neither value nor gradient."""
    torch.manual_seed(seed)
    mixer = build(name)
    q, state, extras = rows()
    q.requires_grad_()
    masked = ~extras.executing
    noise = torch.randn(6, 3).double() * 100
    other = extras._replace(
        q_proxy=(extras.q_proxy + noise * masked).requires_grad_(),
        obs_decision=extras.obs_decision + noise.unsqueeze(2) * masked.unsqueeze(2),
        state_decision=extras.state_decision + noise.unsqueeze(2) * masked.unsqueeze(2),
        hidden_decision=extras.hidden_decision + noise.unsqueeze(2) * masked.unsqueeze(2),
        noise_decision=extras.noise_decision + noise.unsqueeze(2) * masked.unsqueeze(2),
    )
    first = mixer(q, state, extras)
    gradient = torch.autograd.grad(first.sum(), q)[0]
    second = mixer(q, state, other)
    gradients = torch.autograd.grad(second.sum(), (q, other.q_proxy))
    assert torch.equal(first, second)
    assert torch.equal(gradient, gradients[0])
    assert float((gradients[1] * masked).abs().max()) == 0.0


@pytest.mark.parametrize("name", PROXY_MIXERS)
def test_an_active_proxy_changes_value_and_gradient(name):
    torch.manual_seed(3)
    mixer = build(name, mvd_activation="leaky_relu")
    q, state, extras = rows(40)
    p = extras.q_proxy.clone().requires_grad_()
    value = mixer(q, state, extras._replace(q_proxy=p))
    gradient = torch.autograd.grad(value.sum(), p)[0]
    assert bool((gradient[extras.executing] != 0).all())
    moved = mixer(q, state, extras._replace(q_proxy=p.detach() + 0.5 * extras.executing))
    has_proxy = extras.executing.any(dim=1)
    assert bool((moved != value)[has_proxy].all())
    assert torch.equal(moved[~has_proxy], value[~has_proxy].detach())


@pytest.mark.parametrize("base", ["vdn", "qmix", "qatten", "qplex"])
@given(seed=SEEDS)
def test_without_executing_agents_a_variant_equals_its_base(base, seed):
    """Invariant: (A) with the weights of its first n slots is the plain mixer."""
    torch.manual_seed(seed)
    layers = {"qplex_kernel_layers": 2} if base == "qplex" else {}
    plain, extended = build(base, **layers), build(f"{base}_a")
    weights = extended.state_dict()
    for name, value in plain.state_dict().items():
        if weights[name].shape == value.shape:
            weights[name] = value
        elif name.startswith("key_embedding"):  # one feature more: the flag, 0 for real agents
            weights[name][:, :-1] = value
        else:  # W_1 is agent-major
            weights[name][: len(value)] = value
    extended.load_state_dict(weights)
    q, state, extras = rows()
    nobody = torch.zeros_like(extras.executing)
    extras = extras._replace(executing=nobody, q_proxy=torch.zeros_like(q))
    torch.testing.assert_close(extended(q, state, extras), plain(q, state, extras))


def test_masked_proxies_draw_no_attention():
    """Trap: softmax over masked slots. A zero utility alone would still take weight from the others."""
    mixer = build("qatten_a")
    q, state, extras = rows()
    attention = mixer.attention(state, extras).detach()
    slots = torch.cat([torch.ones_like(extras.executing), extras.executing], dim=1)
    assert float((attention * ~slots.unsqueeze(1)).abs().max()) == 0.0
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(6, 4).double())


def test_zeroed_proxies_draw_attention_with_a_utility_of_zero():
    """The option of register entry m: the softmax runs over all 2N slots."""
    mixer = build("qatten_a", qatten_masked_proxies="zeroed")
    q, state, extras = rows()
    attention = mixer.attention(state, extras)
    assert float(attention.min()) > 0.0
    utilities = torch.cat([q, extras.q_proxy * extras.executing], dim=1).unsqueeze(1)
    heads = (attention * utilities).sum(dim=2) * mixer.head_embedding_layer(state).abs()
    expected = heads.sum(dim=1, keepdim=True) + mixer.constrant_value_layer(state)
    garbage = extras._replace(q_proxy=extras.q_proxy + 100.0 * ~extras.executing)
    torch.testing.assert_close(mixer(q, state, garbage), expected)


def test_both_slots_of_an_agent_differ_by_their_flag():
    """Frozen observations would otherwise give an agent and its proxy equal attention."""
    mixer = build("qatten_a")
    q, state, extras = rows()
    extras = extras._replace(obs_decision=extras.obs, executing=torch.ones_like(extras.executing))
    attention = mixer.attention(state, extras).detach()
    assert float((attention[..., :3] - attention[..., 3:]).abs().min()) > 0.0


MONOTONE = ("vdn", "qmix", "qatten", "qplex", "na2q")


@pytest.mark.parametrize("name", [base + end for base in MONOTONE for end in ("", "_a")])
@given(seed=SEEDS)
def test_baselines_are_monotone_in_every_agent(name, seed):
    torch.manual_seed(seed)
    mixer = build(name)
    q, state, extras = rows()
    q.requires_grad_()
    mixer(q, state, extras).sum().backward()
    assert float(q.grad.min()) >= 0.0


def test_qatten_state_slice_checks_its_size_and_refuses_proxies():
    slices = {"qatten_key_source": "state_slice", "qatten_own_state_size": 1}
    q, state, _ = rows()
    assert build("qatten", **slices)(q, state).shape == (6, 1)
    with pytest.raises(ValueError, match="qatten_own_state_size=2 is not accepted.*expected 1 to 1"):
        build("qatten", **slices | {"qatten_own_state_size": 2})
    words = "qatten_a: qatten_key_source='state_slice'.*Set qatten_key_source=obs"
    with pytest.raises(ValueError, match=words):
        build("qatten_a", **slices)
