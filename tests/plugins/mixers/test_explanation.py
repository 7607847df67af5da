"""What mixers say about their credit: derivatives by differences, MVD's weights by hand, masked slots."""

import math
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.mixers import MIXERS, build_mixer
from plugins.mixers.base import Extras, Mixer
from plugins.mixers.explanation import MEANING, Explanation
from plugins.mixers.mvd_heads import FORMS, ReluMlp
from tests.plugins.mixers.test_mixers import HIDDEN, PROXY_MIXERS, SEEDS, SIZES, config_of, rows
from tests.plugins.mixers.test_mvd import BIAS, PROXY, REAL, STATE, C, P, U, row
from tests.plugins.tiny import Given, make_mvd

STEP = 1e-6
FEWER = settings(max_examples=max(5, settings().max_examples // 4))  # each is six rows, and there are many mixers
VARIANTS: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in MIXERS] + [
    ("mvd", {"mvd_form": form, "mvd_order": 3}) for form in FORMS
] + [
    ("mvd", {"mvd_interaction_mean": True, "mvd_hat_state": True, "mvd_roles": 3, "mvd_free_executing": True}),
    ("mvd", {"mvd_low_rank": 2, "mvd_order": 3, "mvd_proxy_first_order": False, "mvd_form": "s"}),
    ("mvd", {"mvd_detach_proxy": True, "mvd_c_tracker": "per_agent", "mvd_pair_scale": 2.0, "mvd_form": "d"}),
    ("mvd", {"mvd_order": 1, "mvd_inactive_first_order": False}),
    ("qplex_a", {"qplex_minus_one": False, "qplex_weighted_head": False}),
    ("na2q_a", {"na2q_order": 3}), ("avf_qmix", {"avf_update": "D1"}), ("avf_vdn", {"avf_update": "D2"}),
    ("qatten_a", {"qatten_masked_proxies": "zeroed"}), ("na2q_a", {"na2q_masked_proxies": "zeroed"}),
]  # fmt: skip


@cache
def config(name: str) -> dict[str, Any]:
    """The keys of a mixer of the table, read once."""
    return config_of(name) | {"hidden_dim": HIDDEN}


def made(name: str, options: dict[str, Any], seed: int) -> tuple[Mixer, tuple[torch.Tensor, torch.Tensor, Extras]]:
    """A mixer and six rows for it; MVD's C covers their proxies, as it does in training."""
    torch.manual_seed(seed)
    mixer = build_mixer(name, SIZES, {**config(name), **options}).double()
    given_rows = rows()
    if "minimum.value" in dict(mixer.named_buffers()):
        mixer.minimum.value.fill_(5.0)
    return mixer, given_rows


def moved(given_rows: tuple[torch.Tensor, torch.Tensor, Extras], slot: int, by: float) -> Any:
    """The rows with `by` added to the utility of one slot, masked or not."""
    q, state, extras = given_rows
    n_agents = q.shape[1]
    step = by * torch.eye(n_agents).double()[slot % n_agents]
    if slot < n_agents:
        return q + step, state, extras
    return q, state, extras._replace(q_proxy=extras.q_proxy + step)


@pytest.mark.parametrize("name, options", VARIANTS)
@FEWER
@given(seed=SEEDS, slot=st.integers(0, 5))
def test_derivatives_agree_with_differences(name: str, options: dict[str, Any], seed: int, slot: int) -> None:
    """Slope and second derivatives of any slot, masked ones included, on six rows.

    A difference quotient lies between the derivatives at both ends; where those are far apart, q_tot has a
    kink (ReLU) between them and no second derivative.
    """
    mixer, given_rows = made(name, options, seed)
    here = mixer.explain(*given_rows)
    slot %= here.q.shape[1]
    low_rows, high_rows = moved(given_rows, slot, -STEP), moved(given_rows, slot, STEP)
    low, high = mixer.explain(*low_rows), mixer.explain(*high_rows)
    with torch.no_grad():
        quotient = (mixer(*high_rows) - mixer(*low_rows)).squeeze(1) / (2 * STEP)
    assert_between(quotient, low.slope[:, slot], high.slope[:, slot])
    assert_between(here.slope[:, slot], low.slope[:, slot], high.slope[:, slot])
    others = [other for other in range(here.q.shape[1]) if other != slot]
    smooth = (high.slope - low.slope).abs().amax(1) < 1e-3
    quotients = ((high.slope - low.slope) / (2 * STEP))[smooth][:, others]
    assert_between(quotients, low.mixed[smooth][:, slot, others], high.mixed[smooth][:, slot, others], 1e-5)
    assert_between(
        here.mixed[smooth][:, slot, others],
        low.mixed[smooth][:, slot, others], high.mixed[smooth][:, slot, others], 1e-5,
    )  # fmt: skip
    assert int(smooth.sum()) >= 4
    torch.testing.assert_close(here.mixed, here.mixed.transpose(1, 2))
    torch.testing.assert_close(here.q_tot, mixer(*given_rows).detach())


def assert_between(value: torch.Tensor, one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-7) -> None:
    slack = tolerance * (1.0 + value.abs())
    assert bool((value >= torch.minimum(one, other) - slack).all()), (value, one, other)
    assert bool((value <= torch.maximum(one, other) + slack).all()), (value, one, other)


@pytest.mark.parametrize("name, options", [each for each in VARIANTS if each[0] in PROXY_MIXERS])
@FEWER
@given(seed=SEEDS)
def test_masked_slots_are_exactly_nothing(name: str, options: dict[str, Any], seed: int) -> None:
    """Whatever stands in a masked slot: no utility, weight, derivative, attention or share of a pair."""
    mixer, (q, state, extras) = made(name, options, seed)
    garbage = torch.where(extras.executing, extras.q_proxy, 1e30 * torch.randn(6, 3).double())
    told = mixer.explain(q, state, extras._replace(q_proxy=garbage))
    absent = ~told.present
    assert torch.equal(told.present, torch.cat([torch.ones(6, 3).bool(), extras.executing], 1))
    for values in (told.q, told.slope, told.gradient):
        assert float((values * absent).abs().max()) == 0.0
    for values in (told.mixed, told.f):
        assert float((values * (absent.unsqueeze(1) | absent.unsqueeze(2))).abs().max()) == 0.0
    labels = [str(slot) for slot in range(6)]
    for field in ("first_order", "weight"):
        if field in told.own:
            assert float((told.own[field] * absent).abs().max()) == 0.0
    if "zeroed" in options.values():
        return  # the option is that masked slots do draw attention and credit
    if "attention" in told.own:
        assert float((told.own["attention"] * absent.unsqueeze(1)).abs().max()) == 0.0
    for term, members in enumerate(mixer.own_labels(labels).get("credits", [])):
        has_absent = absent[:, [int(slot) for slot in members.split()]].any(1)
        assert float((told.own["credits"][:, term] * has_absent).abs().max()) == 0.0
        assert float((told.own["terms"][:, term] * has_absent).abs().max()) == 0.0


# MVD by hand


def explained(order: int, **options: Any) -> Explanation:
    """The worked example of Eq. 8, explained: agent 0 decides, 1 and 2 execute, g = (0, 0.5, 2.5)."""
    mixer = make_mvd(3, order=order, **options)
    mixer.minimum.value.fill_(C)
    pair, triple = torch.full((3, 3), 9.0).double(), torch.full((3, 3), 9.0).double()
    pair[0, 1], pair[0, 2], triple[0, 2] = -0.8, 0.25, -0.9
    second = torch.full((3, 3), 9.0).double()
    second[0, 1], second[0, 2] = 0.4, -0.1  # of the second head, which has nothing else but a bias
    nothing = torch.zeros(9).double()
    first_head = row([-0.5, 0.2, -0.3, *PROXY])
    n_heads = mixer.n_heads
    mixer.first = Given(torch.cat([first_head, torch.zeros(1, 6).double()], 1)[:, : 6 * n_heads])
    mixer.bias = Given(row([BIAS, 0.1])[:, :n_heads])
    nets = [torch.cat([pair.flatten(), second.flatten()]), torch.cat([triple.flatten(), nothing])]
    mixer.interactions = torch.nn.ModuleList(Given(net[: 9 * n_heads].unsqueeze(0)) for net in nets[: order - 1])
    if isinstance(mixer.heads, ReluMlp):
        heads = mixer.heads
        heads.w_1, heads.b_1 = Given(row([0.5, -0.1, 0.2, -0.3, 0.4, 0.0])), Given(row([-1.0, 0.2, -3.0]))
        heads.w_2, heads.value = Given(row([1.0, -0.5, 2.0])), Given(row([-0.25]))
    deciding = torch.tensor([[True, False, False]])
    return mixer.explain(row(U), STATE, Extras(q_proxy=row(P), deciding=deciding, executing=~deciding))


@pytest.mark.parametrize(
    "order, q_tot, du_0, dp_1, dp_2, f_01, f_02",
    [
        (1, -0.05, 0.5, 0.6, 0.7, 0.0, 0.0),
        (2, 2.00, 1.525, 1.4, 0.95, 0.8, 0.25),
        (3, 4.25, 2.65, 3.65, 1.4, 0.8, 0.25),
    ],
)
def test_worked_example(
    order: int, q_tot: float, du_0: float, dp_1: float, dp_2: float, f_01: float, f_02: float
) -> None:
    told = explained(order, form="d")
    assert float(told.q_tot) == pytest.approx(q_tot, abs=1e-12)
    assert told.q[0].tolist() == [*U, *P]
    assert told.present[0].tolist() == [True, True, True, False, True, True]
    assert told.slope[0].tolist() == pytest.approx([du_0, 0.2, 0.3, 0.0, dp_1, dp_2], abs=1e-12)
    assert torch.equal(told.slope, told.gradient)
    assert told.own["first_order"][0].tolist() == pytest.approx([*REAL, 0.0, 0.6, 0.7], abs=1e-12)
    expected = torch.zeros(6, 6).double()
    expected[0, 4] = expected[4, 0] = f_01
    expected[0, 5] = expected[5, 0] = f_02
    torch.testing.assert_close(told.f[0], expected, atol=1e-12, rtol=0)
    assert told.own["q_c_min"].tolist() == [[C]]


def test_second_derivatives_of_the_worked_example() -> None:
    """Order 2: half of f. Order 3: 0.8 / 2 + 0.9 / 2 * 2.5, and the two proxies with each other 2 * 0.9 / 4."""
    told = explained(2, form="d")
    torch.testing.assert_close(told.mixed, told.f / 2)
    mixed = explained(3, form="d").mixed[0]
    assert float(mixed[0, 4]) == pytest.approx(1.525)
    assert float(mixed[0, 5]) == pytest.approx(0.25 / 2 + 0.9 / 2 * 0.5)
    assert float(mixed[4, 5]) == pytest.approx(0.45)


def test_pairs_behind_the_tail_of_form_m() -> None:
    """x = (4.25, 1): units 0 and 1 are on, so dQ/dx = (.5 * 1 + .1 * .5, .3 * 1 + .4 * .5) = (.55, .5)."""
    told = explained(3, form="m", heads=2, width=3)
    assert told.own["head_values"][0].tolist() == pytest.approx([4.25, 1.0])
    assert told.own["head_slopes"][0].tolist() == pytest.approx([0.55, 0.5])
    assert float(told.q_tot) == pytest.approx(1.6875)
    assert float(told.f[0, 0, 4]) == pytest.approx(0.55 * 0.8 + 0.5 * 0.4)
    assert float(told.f[0, 0, 5]) == pytest.approx(0.55 * 0.25 + 0.5 * 0.1)
    assert float(told.slope[0, 0]) == pytest.approx(0.55 * 2.65 + 0.5 * (0.4 * 0.5 + 0.1 * 2.5))
    assert float(told.own["first_order"][0, 0]) == pytest.approx(0.55 * 0.5)


def test_pairs_behind_the_log_mean_exp() -> None:
    """Its derivative is the softmax of the heads: 1 / (1 + exp(-3.25)) for the first."""
    told = explained(3, form="s", heads=2)
    share = 1 / (1 + math.exp(-3.25))
    assert float(told.q_tot) == pytest.approx(3.594895, abs=1e-6)
    assert float(told.f[0, 0, 4]) == pytest.approx(share * 0.8 + (1 - share) * 0.4)


@pytest.mark.parametrize("form", FORMS)
@FEWER
@given(seed=SEEDS)
def test_weights_of_order_2_make_the_slopes(form: str, seed: int) -> None:
    """dQ/du_i = f_i + sum_j f_ij (p_j + C) / 2 and dQ/dp_j = f'_j + sum_i f_ij u_i / 2, whatever the tail."""
    mixer, (q, state, extras) = made("mvd", {"mvd_form": form}, seed)
    told = mixer.explain(q, state, extras)
    factors = torch.cat([q, (extras.q_proxy + 5.0) * extras.executing], 1) / 2
    torch.testing.assert_close(told.slope, told.own["first_order"] + (told.f @ factors.unsqueeze(2)).squeeze(2))
    pairs = extras.deciding.unsqueeze(2) & extras.executing.unsqueeze(1)
    alive = told.own["head_slopes"].amax(1) > 0.0  # no ReLU is on elsewhere
    assert torch.equal(told.f[:, :3, 3:] > 0.0, pairs & alive.view(6, 1, 1))


def test_averaged_pairs_count_what_their_average_does() -> None:
    """Two proxies are there, so each pair counts half."""
    told = explained(2, form="d", interaction_mean=True)
    assert told.f[0, 0, 4:].tolist() == pytest.approx([0.4, 0.125])
    torch.testing.assert_close(told.mixed, told.f / 2)


def test_low_rank_pairs_are_those_of_their_product() -> None:
    mixer, given_rows = made("mvd", {"mvd_low_rank": 2, "mvd_form": "d"}, 5)
    told = mixer.explain(*given_rows)
    torch.testing.assert_close(told.mixed, told.f / 2)
    assert float(told.f.max()) > 0.0


# the others


def test_what_training_sends_back_is_told_apart_from_the_slope() -> None:
    """detach_proxy: no gradient through the products. QPLEX: w to the agents, lambda w is the slope."""
    told = explained(2, form="d", detach_proxy=True)
    assert told.gradient[0, 3:].tolist() == pytest.approx([0.0, 0.6, 0.7])
    assert told.slope[0, 3:].tolist() == pytest.approx([0.0, 1.4, 0.95])
    mixer, given_rows = made("qplex_a", {}, 1)
    told = mixer.explain(*given_rows)
    torch.testing.assert_close(told.gradient, told.own["weight"])
    torch.testing.assert_close(told.slope[:, :3], told.own["lambda"] * told.own["weight"][:, :3])
    torch.testing.assert_close(told.slope[:, 3:], told.gradient[:, 3:])


@pytest.mark.parametrize("name", ["qatten", "qatten_a"])
def test_attention_and_head_weights_make_the_slopes(name: str) -> None:
    for options in ({}, {"qatten_weighted_heads": False}):
        mixer, given_rows = made(name, options, 2)
        told = mixer.explain(*given_rows)
        weights = (told.own["attention"] * told.own["head_weight"].unsqueeze(2)).sum(1)
        torch.testing.assert_close(told.slope, weights)


@pytest.mark.parametrize("name, n_terms", [("na2q", 6), ("na2q_a", 21)])
def test_credits_and_terms_make_the_value(name: str, n_terms: int) -> None:
    mixer, given_rows = made(name, {}, 3)
    told = mixer.explain(*given_rows)
    bias = mixer.bias(given_rows[1]).detach()
    torch.testing.assert_close((told.own["credits"] * told.own["terms"]).sum(1, keepdim=True) + bias, told.q_tot)
    labels = mixer.own_labels(list("abcdef"[: told.q.shape[1]]))["credits"]
    assert n_terms == len(labels) and ["a", "b"] == labels[:2] and labels[-1] == ("b c" if n_terms == 6 else "e f")


def test_alpha_is_the_factor_of_agents_that_are_not_greedy() -> None:
    mixer, (q, state, extras) = made("shaq", {}, 4)
    told = mixer.explain(q, state, extras)
    factors = torch.where(extras.is_greedy, 1.0, told.own["alpha"])
    torch.testing.assert_close((factors * q).sum(1, keepdim=True), told.q_tot)


@pytest.mark.parametrize("name, options", VARIANTS)
def test_every_number_has_a_meaning_and_every_column_a_label(name: str, options: dict[str, Any]) -> None:
    mixer, (q, state, extras) = made(name, options, 6)
    told = mixer.explain(q, state, extras)
    assert set(told.own) <= set(MEANING)
    slots = [str(slot) for slot in range(told.q.shape[1])]
    labels = mixer.own_labels(slots)
    for field, values in told.own.items():
        assert len(labels.get(field, slots[: values.shape[-1]])) == values.shape[-1]
    assert not any(tensor.requires_grad for tensor in [*told[:-1], *told.own.values()])
    assert all(parameter.grad is None for parameter in mixer.parameters())
    folded = Extras(*[None if x is None else x.view(2, 3, *x.shape[1:]) for x in extras])
    other = mixer.explain(q.view(2, 3, 3), state.view(2, 3, 4), folded)
    assert other.mixed.shape == (2, 3, len(slots), len(slots))
    torch.testing.assert_close(other.f.flatten(0, 1), told.f)


def test_wrong_shapes_are_refused_as_in_mixing() -> None:
    mixer, (q, state, extras) = made("mvd", {}, 0)
    with pytest.raises(ValueError, match="q_proxy is nothing, expected"):
        mixer.explain(q, state, extras._replace(q_proxy=None))
