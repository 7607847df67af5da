"""Statements about MVD's decomposition as properties of the mixer, on random weights, states and statuses.

Theorem 2 is in test_theorem_2, individual-global-max in test_igm.

Paper: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, sections 4 and 5.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.config.schema import load_alg
from plugins.mixers import Sizes, build_mixer
from plugins.mixers.base import Extras
from plugins.mixers.mvd_heads import FORMS

SEEDS = st.integers(0, 100_000)
ORDERS = st.integers(1, 3)
N_AGENTS, STATE_DIM = 3, 4
OPTIONS = st.sampled_from([
    {},
    {"mvd_roles": 3},
    {"mvd_free_executing": True},
    {"mvd_free_executing": True, "mvd_roles": 3},
    {"mvd_low_rank": 2},
    {"mvd_interaction_mean": True},
    {"mvd_detach_proxy": True},
    {"mvd_c_tracker": "ema"},
    {"mvd_c_tracker": "per_agent"},
    {"mvd_activation": "leaky_relu"},
    {"mvd_inactive_first_order": False},
    {"mvd_proxy_first_order": False},
])


def sample(seed, n_rows=32, mean=0.0, **changes):
    """A mixer with random weights and C observed, and random rows: (mixer, u, state, extras)."""
    torch.manual_seed(seed)
    mixer = build_mixer("mvd", Sizes(N_AGENTS, STATE_DIM, 2), load_alg("mvd") | changes).double()
    status = torch.randint(0, 3, (n_rows, N_AGENTS))
    executing = status == 1
    p = (torch.randn(n_rows, N_AGENTS).double() * 2 + mean) * executing
    mixer.observe_proxies(p.unsqueeze(0), p.unsqueeze(0), executing.unsqueeze(0))
    extras = Extras(q_proxy=p, deciding=status == 0, executing=executing)
    u = (torch.randn(n_rows, N_AGENTS) * 2 + mean).double().requires_grad_()
    return mixer, u, torch.randn(n_rows, STATE_DIM).double(), extras


def slopes(mixer, u, state, extras):
    """d q_tot / d u of the deciding agents."""
    return torch.autograd.grad(mixer(u, state, extras).sum(), u)[0][extras.deciding]


@pytest.mark.parametrize("form", FORMS)
@given(seed=SEEDS, order=ORDERS, options=OPTIONS, mean=st.sampled_from([-5.0, 0.0, 5.0]))
def test_q_tot_never_falls_with_a_deciding_agents_utility(form, seed, order, options, mean):
    assert float(slopes(*sample(seed, mean=mean, mvd_form=form, mvd_order=order, **options)).min()) >= 0.0


@pytest.mark.parametrize("form", FORMS)
@given(seed=SEEDS, order=ORDERS)
def test_q_tot_rises_with_it_in_at_least_a_fifth_of_the_cases(form, seed, order):
    """Without this a mixer that is constant would pass the property above."""
    positive = slopes(*sample(seed, n_rows=200, mvd_form=form, mvd_order=order)) > 0
    assert float(positive.double().mean()) >= 0.2


@pytest.mark.parametrize("form", FORMS)
@given(seed=SEEDS, order=ORDERS)
def test_masked_hyper_weights_contribute_nothing(form, seed, order):
    """Nobody executing: interaction weights and proxy weights may be anything."""
    mixer, u, state, extras = sample(seed, mvd_form=form, mvd_order=order)
    extras = extras._replace(executing=torch.zeros_like(extras.executing))
    before = mixer(u, state, extras)
    with torch.no_grad():
        for net in mixer.interactions:
            net[2].bias.add_(100.0)
        proxy_rows = mixer.first[2].bias.view(mixer.n_heads, mixer.roles, N_AGENTS)[:, -1]
        proxy_rows.add_(100.0)
    assert torch.equal(before, mixer(u, state, extras))


@given(seed=SEEDS)
def test_order_2_is_order_1_where_no_agent_executes(seed):
    """And where one does while another decides, it is not."""
    second, u, state, extras = sample(seed, mvd_order=2, mvd_form="s")
    config = load_alg("mvd") | {"mvd_order": 1, "mvd_form": "s"}
    first = build_mixer("mvd", Sizes(N_AGENTS, STATE_DIM, 2), config).double()
    weights = second.state_dict()
    first.load_state_dict({name: weights[name] for name in weights if not name.startswith("interactions")})
    one, two = first(u, state, extras).squeeze(1), second(u, state, extras).squeeze(1)
    meets = extras.executing.any(1) & extras.deciding.any(1)
    torch.testing.assert_close(one[~meets], two[~meets], rtol=0, atol=0)
    factors = (extras.q_proxy + second.minimum.value) * extras.executing
    weighs = meets & (u.detach().abs().amin(1) > 1e-3) & (factors > 1e-3).any(1)
    assert bool((one[weighs] != two[weighs]).all())


@given(seed=SEEDS)
def test_zero_third_order_weights_make_order_3_equal_order_2(seed):
    third, u, state, extras = sample(seed, mvd_order=3)
    second = build_mixer("mvd", Sizes(N_AGENTS, STATE_DIM, 2), load_alg("mvd") | {"mvd_order": 2}).double()
    with torch.no_grad():
        for parameter in third.interactions[1][2].parameters():
            parameter.zero_()
    weights = third.state_dict()
    second.load_state_dict({name: weights[name] for name in weights if not name.startswith("interactions.1")})
    torch.testing.assert_close(third(u, state, extras), second(u, state, extras), rtol=0, atol=1e-12)


@given(seed=SEEDS)
def test_order_1_ignores_c_and_order_2_does_not(seed):
    for order in (1, 2):
        mixer, u, state, extras = sample(seed, mvd_order=order, mvd_form="d")
        before = mixer(u, state, extras)
        mixer.minimum.value.add_(10.0)
        same = torch.equal(before, mixer(u, state, extras))
        assert same == (order == 1 or not bool((extras.executing.any(1) & extras.deciding.any(1)).any()))


@given(seed=SEEDS, order=ORDERS)
def test_with_everybody_deciding_it_is_additive(seed, order):
    """All durations one: no interaction term, so mixed second differences vanish (one head, Eq. 8)."""
    mixer, u, state, extras = sample(seed, mvd_order=order, mvd_form="d")
    nobody = torch.zeros_like(extras.executing)
    extras = Extras(q_proxy=torch.zeros_like(u), deciding=~nobody, executing=nobody)

    def value(*moved):
        step = torch.zeros(N_AGENTS).double()
        step[list(moved)] = 1.5
        return mixer(u + step, state, extras)

    torch.testing.assert_close(value(0, 1) - value(0), value(1) - value())


@given(seed=SEEDS)
def test_a_product_term_remains_while_somebody_executes(seed):
    """The counterpart: an executing agent's proxy changes a deciding agent's slope."""
    mixer, u, state, _ = sample(seed, mvd_order=2, mvd_form="d")
    deciding = torch.tensor([True, False, False]).expand(len(u), -1)
    p = torch.randn(len(u), N_AGENTS).double() * ~deciding
    mixer.observe_proxies(p.unsqueeze(0), p.unsqueeze(0), ~deciding.unsqueeze(0))
    low = slopes(mixer, u, state, Extras(q_proxy=p, deciding=deciding, executing=~deciding))
    high = slopes(mixer, u, state, Extras(q_proxy=p + 1.0, deciding=deciding, executing=~deciding))
    assert bool((high > low).all())


def test_the_weighted_mean_of_heads_breaks_what_the_log_mean_exp_keeps():
    """Why the text's softmax-weighted mean is not the `s` form: some slopes are negative."""
    config = load_alg("mvd") | {"mvd_order": 2}
    torch.manual_seed(0)
    mixer = build_mixer("boltzmann_heads", Sizes(N_AGENTS, STATE_DIM, 2), config).double()
    _, u, state, extras = sample(1, n_rows=2000)
    torch.manual_seed(0)
    assert float(slopes(mixer, (u * 5).detach().requires_grad_(), state, extras).min()) < 0.0
