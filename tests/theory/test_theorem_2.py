"""Theorem 2 of arXiv:2408.03692v2: Q_Add is a proper subset of Q_Mul. What the two classes can express.

Q_Add is Eq. 1 over agents and proxies, Q_Mul is Eq. 5; Eq. 8 is what is computed in practice, with weights
of at least zero and a constant C. The game is the one of Figure 9: row, then column, payoff row * column.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plugins.config.schema import load_alg
from plugins.mixers import Sizes, build_mixer
from plugins.mixers.base import Extras
from tests.plugins.tiny import make_mvd
from tests.theory.formulas import eq_5, given_mixer, mixed, tabulate
from tests.theory.payoff import JOINT

FORMS = ("d", "s", "m")
N_AGENTS, N_STATES = 3, 2
STATUSES = st.text("dei", min_size=N_AGENTS, max_size=N_AGENTS)
NUMBERS = st.floats(-5, 5, width=16)
WEIGHTS = st.floats(0, 5, width=16)
VALUES = st.fractions(-9, 9, max_denominator=8)
SEEDS = st.integers(0, 100_000)


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


def of_shape(elements, *shape):
    return arrays(np.float64, shape, elements=elements)


def payoffs(a, b):
    """[row's value * column's value] of the four joint choices, in the order of JOINT."""
    return [(a, b)[row] * (a, b)[column] for row, column in JOINT]


def random_monotone_mixer(form, seed):
    """Two agents, one state, random weights, C observed to be 3."""
    torch.manual_seed(seed)
    mixer = make_mvd(2, 1, form=form, order=2)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.mul_(3.0)
    mixer.minimum.value.fill_(3.0)
    return mixer


# Q_Add lies in Q_Mul


@pytest.mark.parametrize("form", FORMS)
@given(
    k_0=of_shape(NUMBERS, N_STATES),
    k_real=of_shape(WEIGHTS, N_STATES, N_AGENTS),
    k_proxy=of_shape(WEIGHTS, N_STATES, N_AGENTS),
    u=of_shape(NUMBERS, N_AGENTS),
    p=of_shape(NUMBERS, N_AGENTS),
    status=STATUSES,
    c=st.floats(0, 5),
)
def test_every_additive_value_is_mvds_with_zero_interaction_weights(
    form, k_0, k_real, k_proxy, u, p, status, c
):
    """Theorem 2, inclusion: Eq. 1 over real and proxy slots with k_i >= 0 at every state, through the mixer."""
    nothing = torch.zeros(N_STATES, N_AGENTS, N_AGENTS)
    weights = [torch.from_numpy(k) for k in (k_0, k_real, k_proxy)]
    mixer = given_mixer(form, *weights, nothing, c)
    for state in range(N_STATES):
        expected = eq_5(k_0[state], k_real[state], k_proxy[state], {}, u, p, status)
        assert mixed(mixer, state, u, p, status) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("form", FORMS)
@given(seed=SEEDS, k=st.floats(0.5, 5), p=st.floats(-3, 3))
def test_an_additive_value_with_a_negative_weight_is_not_that_of_eq_8(form, seed, k, p):
    """The inclusion needs k_i >= 0 for deciding agents, which Eq. 1 does not say: Q_tot = -k Q_0 is missed.

    Q_tot of Eq. 8 does not fall from Q_0 = -1 to Q_0 = 1, so at one of the two it is wrong by k or more.
    """
    mixer = random_monotone_mixer(form, seed)
    errors = [abs(mixed(mixer, 0, (q, 0.0), (0.0, p), "de") + k * q) for q in (-1.0, 1.0)]
    assert max(errors) >= k - 1e-9


@given(k_real=of_shape(NUMBERS, 1, 2), k_proxy=of_shape(NUMBERS, 1, 2), q=of_shape(NUMBERS, 3))
def test_executing_agents_and_proxies_may_have_negative_weights_where_that_is_switched_on(k_real, k_proxy, q):
    """Eq. 7 asks nothing of them; mvd_free_executing gives Eq. 1 its signs back there."""
    k_real[0, 0] = abs(k_real[0, 0])
    weights = [torch.zeros(1), torch.from_numpy(k_real), torch.from_numpy(k_proxy), torch.zeros(1, 2, 2)]
    mixer = given_mixer("d", *weights, free_executing=True)
    u, p = q[:2], (0.0, q[2])
    expected = eq_5(0.0, k_real[0], k_proxy[0], {}, u, p, "de")
    assert mixed(mixer, 0, u, p, "de") == pytest.approx(expected, abs=1e-9)


# strictness, on the game of Figure 9


@given(a=VALUES, b=VALUES)
def test_the_best_additive_fit_of_figure_9_is_wrong_by_a_quarter_of_the_squared_difference(a, b):
    """Theorem 2, strictness. Whatever the utilities and weights, Eq. 1 is f(row) + g(column).

    The residual of the best such fit is orthogonal to every f and g, and the fit has no interaction: so it
    is (b - a)^2 / 4 times (+1, -1, -1, +1), exactly, and 0 only if a = b. Numpy's least squares agrees.
    """
    table = payoffs(a, b)
    quarter = (b - a) ** 2 / 4
    residual = [quarter, -quarter, -quarter, quarter]
    columns = [[int(choice[agent] == own) for choice in JOINT] for agent in (0, 1) for own in (0, 1)]
    for column in columns:
        assert sum(r * x for r, x in zip(residual, column)) == 0
    fit = [value - r for value, r in zip(table, residual)]
    assert fit[0] - fit[1] - fit[2] + fit[3] == 0  # of the form f + g
    assert (quarter > 0) == (a != b)
    design = np.array(columns, dtype=float).T
    target = np.array(table, dtype=float)
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    assert target - design @ solution == pytest.approx(np.array(residual, dtype=float), abs=1e-9)


@given(a=VALUES, b=VALUES, f=st.tuples(VALUES, VALUES), g=st.tuples(VALUES, VALUES))
def test_no_additive_value_is_closer_than_that_anywhere(a, b, f, g):
    """The same bound for the largest error, hence for training data in any proportion."""
    errors = [abs(f[row] + g[column] - value) for (row, column), value in zip(JOINT, payoffs(a, b))]
    assert max(errors) >= (b - a) ** 2 / 4


@given(a=VALUES, b=VALUES)
def test_eq_5_with_identity_utilities_and_one_product_is_figure_9(a, b):
    """Theorem 2, proof: k_12 = 1, all others 0, Q_i(a_i) = a_i; for a and b of any sign."""
    for (row, column), value in zip(JOINT, payoffs(a, b)):
        u, p = (Fraction(7), (a, b)[column]), ((a, b)[row], Fraction(0))
        assert eq_5(0, (0, 0), (0, 0), {(1, 0): 1}, u, p, "ed") == value


@pytest.mark.parametrize("form", FORMS)
@given(low=st.floats(0, 4), gap=st.floats(0.125, 4))
def test_eq_8_is_figure_9_too_where_both_values_are_at_least_zero(form, low, gap):
    """Strictness under Eq. 8: what no additive value is, the real mixer is, for 0 <= a < b.

    The proxy's utility *is* the row's at its decision, so the identity must serve there as well: the row's
    utility is then a function of its own choice alone, and Q_tot = gamma * b * row asks for the weight
    gamma * b at that state, which is not negative.
    """
    values, gamma = (low, low + gap), 0.99
    k_real = double([[gamma * values[1], 0.0], [0.0, 0.0]])  # at the row's decision, at the column's
    f_pair = torch.zeros(2, 2, 2, dtype=torch.float64)
    f_pair[1, 1, 0] = 2.0  # k_12 = f / 2
    mixer = given_mixer(form, torch.zeros(2), k_real, torch.zeros(2, 2), f_pair)
    for row in values:
        at_column = [mixed(mixer, 1, (7.0, column), (row, 0.0), "ed") for column in values]
        assert at_column == pytest.approx([row * column for column in values], abs=1e-9)
        at_row = mixed(mixer, 0, (row, 5.0), (0.0, 0.0), "di")
        assert at_row == pytest.approx(gamma * max(at_column), abs=1e-9)


# what Eq. 8 gives up against Eq. 5


@given(
    k_pair=of_shape(WEIGHTS, 2),
    c=st.floats(0, 4, width=16),
    more=WEIGHTS,
    q=of_shape(NUMBERS, 3),
)
def test_eq_8_attains_eq_5_where_first_order_weights_are_large_enough(k_pair, c, more, q):
    """Eq. 14: with k_ij >= 0 and k_i >= c * sum_j k_ij, |f_i| = k_i - c sum_j k_ij and |f_ij| = 2 k_ij."""
    k_i = c * k_pair.sum() + more
    f_pair = torch.zeros(1, 3, 3, dtype=torch.float64)
    f_pair[0, 0, 1:] = torch.from_numpy(2 * k_pair)
    mixer = given_mixer("d", torch.zeros(1), double([[more, 0.0, 0.0]]), torch.zeros(1, 3), f_pair, c)
    u, p = (q[0], 0.0, 0.0), (0.0, max(q[1], -c), max(q[2], -c))
    expected = eq_5(0.0, (k_i, 0.0, 0.0), (0.0,) * 3, {(0, 1): k_pair[0], (0, 2): k_pair[1]}, u, p, "dee")
    assert mixed(mixer, 0, u, p, "dee") == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("form", FORMS)
@given(seed=SEEDS, k_i=st.floats(-2, 2), k_pair=st.floats(0.1, 3))
def test_eq_8_misses_eq_5_where_first_order_weights_are_too_small(form, seed, k_i, k_pair):
    """k_i < c * sum_j k_ij: at Q_j = -c Eq. 5 falls with Q_i, Eq. 8 does not; the gap bounds the error.

    So Eq. 8 is not all of Q_Mul, and a larger C (it never falls while training) makes it smaller.
    """
    c = 3.0
    slope = k_i - c * k_pair
    assume(slope < -0.01)
    mixer = random_monotone_mixer(form, seed)
    errors = []
    for q in (-1.0, 1.0):
        expected = eq_5(0.0, (k_i, 0.0), (0.0, 0.0), {(0, 1): k_pair}, (q, 0.0), (0.0, -c), "de")
        errors.append(abs(mixed(mixer, 0, (q, 0.0), (0.0, -c), "de") - expected))
    assert max(errors) >= -slope - 1e-9


@pytest.mark.parametrize("form", FORMS)
@given(
    seed=SEEDS,
    column=of_shape(NUMBERS, 2),
    row=of_shape(NUMBERS, 2),
    proxy=of_shape(NUMBERS, 2),
    a=st.floats(-4, -0.25),
    b=st.floats(0.25, 4),
)
def test_eq_8_cannot_be_figure_9_with_values_of_both_signs(form, seed, column, row, proxy, a, b):
    """Counterexample for a < 0 < b: W >= 0 gives the column's choices one order, whatever the row chose.

    The game wants b first after b and a first after a. One of the two is in the wrong order or tied, so an
    error is at least min(|a|, b) (b - a) / 2.
    """
    mixer = random_monotone_mixer(form, seed)
    fit = [mixed(mixer, 0, (row[r], column[c]), (proxy[r], 0.0), "ed") for r, c in JOINT]
    assert (fit[1] - fit[0]) * (fit[3] - fit[2]) >= -1e-9
    errors = [abs(value - wanted) for value, wanted in zip(fit, payoffs(a, b))]
    assert max(errors) >= least_monotone_error(a, b) - 1e-9


def least_monotone_error(a, b):
    """Of any value that is non-decreasing in the column's utility, for a < 0 < b."""
    return min(-a, b) * (b - a) / 2


@given(a=st.floats(-4, -0.25), b=st.floats(0.25, 4))
def test_that_bound_is_reached(a, b):
    """Exact for one of the row's choices, the mean for the other, whose slope is 0: its proxy is at -C."""
    exact, other, sign = (b, a, 1.0) if b >= -a else (a, b, -1.0)
    row = {exact: 0.0, other: other * (a + b) / 2}
    proxy = {exact: 0.0, other: -1.0}
    f_pair = torch.zeros(1, 2, 2, dtype=torch.float64)
    f_pair[0, 1, 0] = 2.0 * abs(exact)
    mixer = given_mixer("d", torch.zeros(1), double([[1.0, 0.0]]), torch.zeros(1, 2), f_pair, c=1.0)
    errors = [
        abs(mixed(mixer, 0, (row[r], sign * c), (proxy[r], 0.0), "ed") - r * c)
        for r, c in itertools.product((a, b), repeat=2)
    ]
    assert max(errors) == pytest.approx(least_monotone_error(a, b))


# QMIX is not in the class of Eq. 1


@given(a=st.floats(0.25, 4), gap=st.floats(0.125, 4))
def test_qmix_with_proxies_is_figure_9_although_its_class_is_called_additive(a, gap):
    """The paper counts QMIX among the additive forms (Eq. 1), but its ELU makes products of sums.

    One unit with utilities log(value): b^2 elu(log(row * column) - 2 log b) + b^2 = row * column, for
    0 < a < b. Theorem 2 separates Eq. 1 from Eq. 5, not QMIX(A) from MVD.
    """
    b = a + gap
    mixer = build_mixer("qmix_a", Sizes(2, 1, 1), load_alg("qmix_a")).double()
    first = torch.zeros(4, mixer.embed_dim, dtype=torch.float64)
    first[1, 0] = first[2, 0] = 1.0  # the column, the row's proxy
    last = torch.zeros(1, mixer.embed_dim, dtype=torch.float64)
    last[0, 0] = b * b
    tabulate(mixer.hyper_w_1, first.reshape(1, -1))
    tabulate(mixer.hyper_w_final, last)
    tabulate(mixer.V, double([[b * b]]))
    with torch.no_grad():
        mixer.hyper_b_1.weight.zero_()
        mixer.hyper_b_1.bias.fill_(-2 * math.log(b))
    executing = torch.tensor([[True, False]])
    for row, column in itertools.product((a, b), repeat=2):
        extras = Extras(q_proxy=double([[math.log(row), 0.0]]), executing=executing)
        u = double([[7.0, math.log(column)]])
        value = float(mixer(u, double([[1.0]]), extras).detach())
        assert value == pytest.approx(row * column)
