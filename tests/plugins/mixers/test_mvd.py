"""MVD's numbers by hand, and its options one by one."""

import itertools
import math

import pytest
import torch

from plugins.config.schema import load_alg
from plugins.mixers import Sizes, build_mixer
from plugins.mixers.base import Extras
from plugins.mixers.interaction import agent_sets, elementary_symmetric, low_rank_interaction, set_products
from plugins.mixers.minimum import MinimumTracker
from plugins.mixers.mvd_heads import FORMS, Boltzmann, LogMeanExp, ReluMlp
from tests.plugins.tiny import Given, make_mvd

U, P, C, BIAS = [2.0, -1.0, 0.5], [0.0, -3.0, 1.0], 4.0, 0.1
REAL, PROXY = [0.5, 0.2, 0.3], [0.4, 0.6, 0.7]
STATE = torch.zeros(1, 2).double()


def row(values):
    return torch.tensor([values], dtype=torch.float64)


def worked_example(**options):
    """n = 3, agent 0 decides, 1 and 2 execute: (q_tot, d/du, d/dp). Weights are given with mixed signs."""
    mixer = make_mvd(3, form="d", **options)
    mixer.minimum.value.fill_(C)
    pair, triple = torch.full((3, 3), 9.0).double(), torch.full((3, 3), 9.0).double()
    pair[0, 1], pair[0, 2] = -0.8, 0.25
    triple[0, 2] = -0.9  # the set {1, 2}; sets with agent 0 never fire
    mixer.first = Given(row([-0.5, 0.2, -0.3, *PROXY]))
    mixer.bias = Given(row([BIAS]))
    nets = [Given(pair.flatten().unsqueeze(0)), Given(triple.flatten().unsqueeze(0))]
    mixer.interactions = torch.nn.ModuleList(nets[: len(mixer.interactions)])
    u, p = row(U).requires_grad_(), row(P).requires_grad_()
    deciding = torch.tensor([[True, False, False]])
    q_tot = mixer(u, STATE, Extras(q_proxy=p, deciding=deciding, executing=~deciding))
    q_tot.sum().backward()
    return float(q_tot.detach()), u.grad[0].tolist(), p.grad[0].tolist()


@pytest.mark.parametrize(
    "order, q_tot, du_0, dp_1, dp_2",
    [(1, -0.05, 0.5, 0.6, 0.7), (2, 2.00, 1.525, 1.4, 0.95), (3, 4.25, 2.65, 3.65, 1.4)],
)
def test_worked_example(order, q_tot, du_0, dp_1, dp_2):
    """Eq. 8 by hand: g = (0, 0.5, 2.5), so W_0 = 0.5 + 0.8 * 0.5 + 0.25 * 2.5 + 0.9 * 1.25."""
    ours, du, dp = worked_example(order=order)
    assert ours == pytest.approx(q_tot, abs=1e-12)
    assert du == pytest.approx([du_0, 0.2, 0.3], abs=1e-12)
    assert dp == pytest.approx([0.0, dp_1, dp_2], abs=1e-12)


def test_heads_by_hand():
    x = row([4.25, 1.0])
    assert float(LogMeanExp()(x, STATE)) == pytest.approx(3.594895, abs=1e-6)
    assert float(Boltzmann()(x, STATE)) == pytest.approx(4.128688, abs=1e-6)
    heads = ReluMlp(2, 2, 3, 4, 4, "relu")
    heads.w_1, heads.b_1 = Given(row([0.5, -0.1, 0.2, -0.3, 0.4, 0.0])), Given(row([-1.0, 0.2, -3.0]))
    heads.w_2, heads.value = Given(row([1.0, -0.5, 2.0])), Given(row([-0.25]))
    assert float(heads(x, STATE)) == pytest.approx(1.6875, abs=1e-12)


def test_log_mean_exp_of_equal_heads_is_their_value():
    assert float(LogMeanExp()(row([-2.5] * 4), STATE)) == pytest.approx(-2.5)


def test_boltzmann_is_not_monotone_and_not_called_mvd():
    x = row([0.0, 3.0]).requires_grad_()
    Boltzmann()(x, STATE).backward()
    assert x.grad[0, 0] == pytest.approx(-0.088, abs=1e-3)
    with pytest.raises(ValueError, match="not monotone.*not MVD.*mixer=boltzmann_heads"):
        make_mvd(3, form="boltzmann")
    mixer = build_mixer("boltzmann_heads", Sizes(3, 2, 2), load_alg("mvd"))
    assert isinstance(mixer.heads, Boltzmann)


def test_pair_scale_multiplies_every_factor():
    assert worked_example(order=2, pair_scale=1.0)[0] == pytest.approx(-0.05 + 2 * (2.00 + 0.05))
    assert worked_example(order=3, pair_scale=1.0)[0] == pytest.approx(-0.05 + 2 * 2.05 + 4 * 2.25)


def test_proxy_first_order_off_drops_their_own_terms():
    assert worked_example(order=2, proxy_first_order=False)[0] == pytest.approx(2.0 - (0.6 * -3 + 0.7 * 1))


def test_detach_proxy_keeps_only_the_first_order_gradient():
    q_tot, du, dp = worked_example(order=2, detach_proxy=True)
    assert (q_tot, du[0]) == (pytest.approx(2.0), pytest.approx(1.525))
    assert dp == pytest.approx([0.0, 0.6, 0.7])


def test_interaction_mean_divides_by_the_active_sets():
    """Two proxies: pairs are halved, the one set of two stays."""
    assert worked_example(order=2, interaction_mean=True)[0] == pytest.approx(-0.05 + 2.05 / 2)
    assert worked_example(order=3, interaction_mean=True)[0] == pytest.approx(-0.05 + 2.05 / 2 + 2.25)


def test_free_executing_lets_executing_and_proxy_weights_be_negative():
    """Agent 2's weight -0.3 counts as it is, agent 0 decides and keeps 0.5."""
    _, du, _ = worked_example(order=1, free_executing=True)
    assert du == pytest.approx([0.5, 0.2, -0.3])


def test_roles_3_gives_executing_agents_weights_of_their_own():
    mixer = make_mvd(2, order=1, form="d", roles=3)
    mixer.first = Given(row([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))  # deciding, executing, proxy
    mixer.bias = Given(row([0.0]))
    u, p = row([10.0, 100.0]), row([0.0, 7.0])
    deciding = torch.tensor([[True, False]])
    q_tot = mixer(u, STATE, Extras(q_proxy=p, deciding=deciding, executing=~deciding))
    assert float(q_tot) == pytest.approx(1 * 10 + 4 * 100 + 6 * 7)


@pytest.mark.parametrize("keep, expected", [(True, 1.0), (False, 0.0)])
def test_inactive_first_order(keep, expected):
    mixer = make_mvd(1, order=1, form="d", inactive_first_order=keep)
    mixer.first, mixer.bias = Given(row([1.0, 1.0])), Given(row([0.0]))
    nobody = torch.tensor([[False]])
    q_tot = mixer(row([1.0]), STATE, Extras(q_proxy=row([3.0]), deciding=nobody, executing=nobody))
    assert float(q_tot) == expected


def test_hat_state_shows_decision_time_observations_of_executing_agents_only():
    mixer = make_mvd(2, order=2, hat_state=True, state_dim=2, obs_dim=2)
    deciding = torch.tensor([[True, False]])
    obs = torch.randn(1, 2, 2).double()
    extras = Extras(q_proxy=row([0.0, 1.0]), deciding=deciding, executing=~deciding, obs_decision=obs)
    base = float(mixer(row([1.0, 1.0]), STATE, extras))
    other = obs.clone()
    other[0, 0] += 1.0  # the deciding agent's: hidden
    assert float(mixer(row([1.0, 1.0]), STATE, extras._replace(obs_decision=other))) == base
    other[0, 1] += 1.0
    assert float(mixer(row([1.0, 1.0]), STATE, extras._replace(obs_decision=other))) != base


def test_low_rank_equals_the_sets_it_factorises():
    torch.manual_seed(0)
    alpha, beta = torch.rand(2, 1, 4, 3).double(), torch.rand(2, 1, 4, 3).double()
    g = torch.rand(2, 4).double()
    for size in (1, 2, 3):
        expected = torch.zeros(2, 1, 4).double()
        for members in itertools.combinations(range(4), size):
            weight = (alpha * beta[:, :, members].prod(dim=2, keepdim=True)).sum(dim=3)
            expected += weight * g[:, members].prod(dim=1).view(2, 1, 1)
        torch.testing.assert_close(low_rank_interaction(alpha, beta, g, size), expected)


def test_elementary_symmetric_by_hand():
    y = torch.tensor([2.0, 3.0, 5.0]).view(3, 1)
    assert [float(elementary_symmetric(y, m)) for m in (1, 2, 3)] == [10.0, 31.0, 30.0]


def test_set_products_by_hand():
    assert set_products(row([2.0, 3.0, 5.0]), agent_sets(3, 2)).tolist() == [[6.0, 10.0, 15.0]]
    assert set_products(row([2.0, 3.0, 5.0]), agent_sets(3, 3)).tolist() == [[30.0]]


@pytest.mark.parametrize("order", [0, 4])
def test_order_out_of_range_is_one_clear_line(order):
    expected = "1 to 3" if order else "at least 1"
    with pytest.raises(ValueError, match=rf"mvd: mvd_order={order} is not accepted.*expected .*{expected}"):
        make_mvd(3, order=order)


# Q_c^min


def observe(tracker, *values, executing=True):
    tensor = torch.tensor(values).view(1, 1, -1)
    tracker.observe(tensor, tensor, torch.full(tensor.shape, executing))
    return tracker.value.tolist()


def test_running_tracker_is_the_largest_need_so_far_and_never_negative():
    tracker = MinimumTracker("running", 2, 0.9)
    assert observe(tracker, 3.0, 5.0) == [0.0]
    assert observe(tracker, 3.0, -2.0) == [2.0]
    assert observe(tracker, 0.0, -1.0) == [2.0]
    assert observe(tracker, -9.0, -9.0, executing=False) == [2.0]


def test_the_target_networks_proxies_count_too():
    tracker = MinimumTracker("running", 1, 0.9)
    tracker.observe(torch.zeros(1, 1, 1), torch.full((1, 1, 1), -4.0), torch.ones(1, 1, 1, dtype=torch.bool))
    assert tracker.value.tolist() == [4.0]


def test_other_trackers():
    batch = MinimumTracker("batch", 2, 0.9)
    assert [observe(batch, -4.0, 1.0), observe(batch, 1.0, -1.0)] == [[4.0], [1.0]]
    each = MinimumTracker("per_agent", 2, 0.9)
    assert [observe(each, -4.0, 1.0), observe(each, 1.0, -1.0)] == [[4.0, 0.0], [4.0, 1.0]]
    average = MinimumTracker("ema", 1, 0.75)
    assert [observe(average, -4.0), observe(average, 0.0)] == [[1.0], [0.75]]


def test_unknown_tracker_offers_the_nearest():
    with pytest.raises(ValueError, match="mvd_c_tracker 'runing'. Did you mean 'running'"):
        MinimumTracker("runing", 1, 0.9)


# dead units


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_dead_rows_are_those_without_gradient(form, activation):
    """At mean utility -3 many rows die at initialisation where there are ReLUs, and none elsewhere."""
    torch.manual_seed(1)
    mixer = make_mvd(3, order=2, form=form, activation=activation, state_dim=6)
    u = (torch.randn(400, 3) - 3).double().requires_grad_()
    state = torch.randn(400, 6).double()
    deciding = torch.rand(400, 3) < 0.5
    deciding[:, 0] = True
    extras = Extras(q_proxy=torch.zeros_like(u), deciding=deciding, executing=~deciding)
    mixer(u, state, extras).sum().backward()
    cut_off = (u.grad.abs().sum(dim=1) == 0).double().mean()
    share = mixer.statistics(u.detach(), state, extras)["dead_share"]
    assert share == pytest.approx(float(cut_off), abs=1e-6)
    can_die = form in ("m", "relu_heads") and activation == "relu"
    assert (share > 0.3) == can_die


def test_statistics_say_what_their_names_say():
    mixer = make_mvd(2, order=2)
    mixer.minimum.value.fill_(4.0)
    executing = torch.tensor([[True, False], [True, False]])
    extras = Extras(
        q_proxy=torch.tensor([[1.0, 50.0], [3.0, 50.0]]).double(), deciding=~executing, executing=executing
    )
    statistics = mixer.statistics(torch.zeros(2, 2).double(), torch.zeros(2, 2).double(), extras)
    assert statistics["q_c_min"] == 4.0
    assert statistics["q_proxy_std"] == pytest.approx(1.0)
    assert statistics["q_proxy_std_over_c"] == pytest.approx(0.25)
    assert statistics["executing_share"] == 0.5
    assert not math.isnan(statistics["dead_share"])
