"""Eq. 7 of arXiv:2408.03692v2, MVD-based IGM: the joint argmax of Q_tot over deciding agents' actions is
each deciding agent's own argmax, by enumeration through the mixer.

Sets are compared: ties and slopes of zero leave more than one best joint action.
"""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plugins.mixers.base import Extras
from plugins.mixers.interaction import shifted_proxies
from tests.plugins.tiny import make_mvd
from tests.theory.formulas import given_mixer, mixed

FORMS = ("d", "s", "m")
N_AGENTS, N_ACTIONS, STATE_DIM = 3, 3, 4
SEEDS = st.integers(0, 100_000)
# integers: many ties; also large and negative levels
UTILITIES = st.sampled_from([0.0, -20.0, 20.0]).flatmap(
    lambda level: arrays(np.float64, (N_AGENTS, N_ACTIONS), elements=st.integers(-3, 3).map(lambda q: q + level))
)
PROXIES = arrays(np.float64, N_AGENTS, elements=st.floats(-30, 5, width=32))
AVAILABLE = arrays(np.bool_, (N_AGENTS, N_ACTIONS)).map(lambda rows: rows | ~rows.any(axis=1, keepdims=True))
STATUSES = st.text("dei", min_size=N_AGENTS, max_size=N_AGENTS).filter(lambda letters: "d" in letters)


def decision(seed, form, order, proxies, status):
    """A mixer with random weights that has observed these proxies, its state, and extras of one row."""
    torch.manual_seed(seed)
    mixer = make_mvd(N_AGENTS, STATE_DIM, form=form, order=order)
    executing = torch.tensor([[letter == "e" for letter in status]])
    deciding = torch.tensor([[letter == "d" for letter in status]])
    p = torch.from_numpy(proxies).unsqueeze(0) * executing
    mixer.observe_proxies(p.unsqueeze(0), p.unsqueeze(0), executing.unsqueeze(0))
    return mixer, torch.randn(1, STATE_DIM).double(), Extras(p, deciding, executing)


def joint_values(mixer, state, extras, utilities, choices):
    """Q_tot of every joint action: {joint action: value}, for `choices` of each agent."""
    joint = list(itertools.product(*choices))
    u = torch.tensor([[utilities[i, a] for i, a in enumerate(each)] for each in joint], dtype=torch.float64)
    rows = Extras(*[None if x is None else x.expand(len(joint), -1) for x in extras])
    with torch.no_grad():
        values = mixer(u, state.expand(len(joint), -1), rows).squeeze(1).tolist()
    return dict(zip(joint, values))


def choices_of(available, status):
    """Deciding agents have what is available, others the one action that they are bound to."""
    return [np.flatnonzero(row).tolist() if letter == "d" else [0] for row, letter in zip(available, status)]


def individual_best(utilities, choices):
    """Every combination of the agents' own best actions, ties included."""
    best = [max(utilities[i, a] for a in mine) for i, mine in enumerate(choices)]
    return set(itertools.product(*[[a for a in mine if utilities[i, a] == best[i]]
                                   for i, mine in enumerate(choices)]))  # fmt: skip


def joint_best(values, tolerance):
    top = max(values.values())
    return {joint for joint, value in values.items() if value >= top - tolerance}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", [1, 2, 3])
@given(seed=SEEDS, utilities=UTILITIES, proxies=PROXIES, available=AVAILABLE, status=STATUSES)
def test_individual_argmaxes_are_a_joint_argmax(form, order, seed, utilities, proxies, available, status):
    """Eq. 7, with ties, negative utilities and masks: every combination of own best actions is jointly best."""
    mixer, state, extras = decision(seed, form, order, proxies, status)
    choices = choices_of(available, status)
    values = joint_values(mixer, state, extras, utilities, choices)
    tolerance = 1e-9 * max(1.0, *map(abs, values.values()))
    assert individual_best(utilities, choices) <= joint_best(values, tolerance)


@pytest.mark.parametrize("form", ["d", "s"])
@pytest.mark.parametrize("order", [1, 2, 3])
@given(seed=SEEDS, utilities=UTILITIES, proxies=PROXIES, available=AVAILABLE, status=STATUSES)
def test_joint_argmaxes_are_individual_argmaxes_where_first_order_weights_are_positive(
    form, order, seed, utilities, proxies, available, status
):
    """Eq. 7, the other inclusion: with |f_i| > 0 there is no other joint argmax, so the sets are equal."""
    mixer, state, extras = decision(seed, form, order, proxies, status)
    with torch.no_grad():
        mixer.first[2].weight.zero_()
        mixer.first[2].bias.fill_(0.25)
    choices = choices_of(available, status)
    values = joint_values(mixer, state, extras, utilities, choices)
    tolerance = 1e-11 * max(1.0, *map(abs, values.values()))
    assert joint_best(values, tolerance) == individual_best(utilities, choices)


# what Eq. 7 needs and the paper does not say


def one_deciding(form, first, pair, c, p):
    """Q_tot (nine digits) at utilities 0, 1, 2 of a deciding agent whose partner's proxy has utility p."""
    weights = [torch.zeros(1), torch.tensor([[first, 0.0]]), torch.zeros(1, 2)]
    f_pair = torch.tensor([[[0.0, pair], [0.0, 0.0]]])
    mixer = given_mixer(form, *[x.double() for x in weights], f_pair.double(), c)
    return [round(mixed(mixer, 0, (u, 0.0), (0.0, p), "de"), 9) for u in (0.0, 1.0, 2.0)]


@pytest.mark.parametrize("form", FORMS)
def test_a_slope_of_zero_adds_joint_argmaxes_that_no_agent_prefers(form):
    """C.3 ends with W > 0, but |f| is at least zero: at f_i = 0 and Q_j = -C all actions tie in Q_tot."""
    assert one_deciding(form, first=0.0, pair=2.0, c=3.0, p=-3.0) == [0.0, 0.0, 0.0]
    assert one_deciding(form, first=0.0, pair=2.0, c=3.0, p=-2.0) == [0.0, 1.0, 2.0]


def test_dead_units_of_form_m_do_the_same():
    """ReLU is not increasing below zero: with every unit off, Q_tot is one value for all joint actions."""
    torch.manual_seed(0)
    mixer = make_mvd(2, 1, form="m", order=2)
    with torch.no_grad():
        mixer.heads.b_1.bias.fill_(-1e4)
    values = {mixed(mixer, 0, (u, 0.0), (0.0, 0.5), "de") for u in (0.0, 1.0, 2.0)}
    assert len(values) == 1


# the running minimum's job


def unclamped(q_proxy, executing, q_c_min, pair_scale):
    """(Q_j + C) / 2 as Eq. 8 prints it, without our guard at zero."""
    return ((q_proxy + q_c_min) * pair_scale).masked_fill(~executing, 0.0)


def bare_eq_8(monkeypatch):
    monkeypatch.setattr("plugins.mixers.mvd.shifted_proxies", unclamped)


@given(q=st.floats(-9, 9), more=st.floats(0, 3))
def test_with_a_sufficient_c_the_guard_at_zero_changes_nothing(q, more):
    arguments = torch.tensor([[q]]), torch.tensor([[True]]), torch.tensor([max(-q, 0.0) + more]), 0.5
    assert torch.equal(unclamped(*arguments), shifted_proxies(*arguments))


@given(seed=SEEDS, utilities=UTILITIES, proxies=PROXIES, status=STATUSES)
def test_the_running_minimum_alone_keeps_igm(seed, utilities, proxies, status):
    """Eq. 8 without our guard, with the C that the mixer observed itself."""
    mixer, state, extras = decision(seed, "d", 3, proxies, status)
    choices = choices_of(np.ones((N_AGENTS, N_ACTIONS), np.bool_), status)
    with pytest.MonkeyPatch.context() as patch:
        bare_eq_8(patch)
        values = joint_values(mixer, state, extras, utilities, choices)
    tolerance = 1e-9 * max(1.0, *map(abs, values.values()))
    assert individual_best(utilities, choices) <= joint_best(values, tolerance)


@pytest.mark.parametrize("form", FORMS)
def test_without_c_a_negative_proxy_turns_the_order_of_actions_round(form, monkeypatch):
    """Counterexample, Eq. 8 with C = 0 and no guard: |f_i| = 1, |f_ij| = 2, Q_j = -3 gives the slope -2."""
    with monkeypatch.context() as patch:
        bare_eq_8(patch)
        assert one_deciding(form, first=1.0, pair=2.0, c=0.0, p=-3.0) == [0.0, -2.0, -4.0]
    assert one_deciding(form, first=1.0, pair=2.0, c=3.0, p=-3.0) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("form", FORMS)
def test_without_c_the_guard_keeps_igm_but_negative_proxies_are_all_alike(form):
    """Ours with C = 0: the slope stays at |f_i|, so Q_j = -1 and Q_j = -3 weigh the same; with C they do not."""
    assert one_deciding(form, 1.0, 2.0, 0.0, p=-3.0) == one_deciding(form, 1.0, 2.0, 0.0, p=-1.0) == [0, 1, 2]
    assert one_deciding(form, 1.0, 2.0, 3.0, p=-3.0) == [0, 1, 2]
    assert one_deciding(form, 1.0, 2.0, 3.0, p=-1.0) == [0, 3, 6]


@pytest.mark.parametrize("form", FORMS)
def test_adding_the_minimum_itself_makes_it_worse(form, monkeypatch):
    """Counterexample, the text read literally: C = min Q_j = -3 is added, so the factor is (-3 - 3) / 2.

    Even Q_j = 1 then turns the order round, which without any C it does not. With our guard IGM holds, but
    every proxy below +3 is alike.
    """
    guarded = [one_deciding(form, 1.0, 2.0, -3.0, p=p) for p in (-3.0, 1.0, 2.0)]
    assert guarded == [[0.0, 1.0, 2.0]] * 3
    bare_eq_8(monkeypatch)
    assert one_deciding(form, 1.0, 2.0, -3.0, p=-3.0) == [0.0, -5.0, -10.0]
    assert one_deciding(form, 1.0, 2.0, -3.0, p=1.0) == [0.0, -1.0, -2.0]
    assert one_deciding(form, 1.0, 2.0, 0.0, p=1.0) == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("form", FORMS)
@given(c=st.floats(0, 4), first=st.floats(0, 3), pair=st.floats(0.1, 3), p=st.floats(-8, 4))
def test_eq_8_without_guard_keeps_the_order_exactly_where_its_slope_is_not_negative(form, c, first, pair, p):
    """The condition behind Eq. 7: |f_i| + |f_ij| (Q_j + C) / 2 >= 0; Q_j + C >= 0 suffices, nothing less
    does for every weight."""
    slope = first + pair * (p + c) / 2
    with pytest.MonkeyPatch.context() as patch:
        bare_eq_8(patch)
        values = one_deciding(form, first, pair, c, p)
    if abs(slope) > 1e-6:
        assert (values == sorted(values)) == (slope > 0)
