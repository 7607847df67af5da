"""Equations 13 and 14 of arXiv:2408.03692v2 (appendix C): where Eq. 5 comes from and how Eq. 8 rewrites it."""

import math
from fractions import Fraction
from itertools import product

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.plugins.tiny import make_mvd
from tests.theory.formulas import eq_5, eq_14, mixed, proxy_sets

NUMBERS = st.fractions(-5, 5, max_denominator=12)
STATUSES = st.integers(1, 4).flatmap(lambda n: st.text("dei", min_size=n, max_size=n))
SEEDS = st.integers(0, 100_000)


@st.composite
def values(draw, order=2, status=STATUSES):
    """Arguments of eq_5: coefficients of any sign, utilities of any sign, exact."""
    letters = draw(status)
    rows = [[draw(NUMBERS) for _ in letters] for _ in range(4)]
    k_sets = {key: draw(NUMBERS) for key in proxy_sets(len(letters), order)}
    return draw(NUMBERS), rows[0], rows[1], k_sets, rows[2], rows[3], letters


# Eq. 14


@given(values(), NUMBERS)
def test_eq_14_is_eq_5_exactly_for_any_constant(arguments, c):
    """Eq. 14: an identity in c. That C makes factors non-negative is a choice, not a condition."""
    assert eq_14(*arguments, c) == eq_5(*arguments)


@given(values(order=3, status=st.text("dei", min_size=3, max_size=3)), NUMBERS)
def test_eq_6_of_order_3_with_shifted_factors_is_the_printed_one_with_other_weights(arguments, c):
    """Our reading of order 3 shifts every factor; Eq. 6 does not say how. It is the same class.

    A product of two shifted proxies is the plain product plus c times each plus c^2, so pair weights give up
    c times the triples that contain them: k_ij - c sum_l k_ijl, and k_i - c sum_j k_ij + c^2 sum_jl k_ijl.
    """
    k_0, k_real, k_proxy, k_sets, u, p, status = arguments
    proxies = {j for j, letter in enumerate(status) if letter == "e"}
    active = {key: k for key, k in k_sets.items() if status[key[0]] == "d" and proxies.issuperset(key[1:])}
    pairs = {key: k for key, k in active.items() if len(key) == 2}
    triples = {key: k for key, k in active.items() if len(key) == 3}
    less = {key: k - c * sum(t for js, t in triples.items() if set(key) < set(js) and js[0] == key[0])
            for key, k in pairs.items()}  # fmt: skip
    first = [
        k - c * sum(x for key, x in pairs.items() if key[0] == i)
        + c * c * sum(x for key, x in triples.items() if key[0] == i)
        for i, k in enumerate(k_real)
    ]  # fmt: skip
    shifted = eq_5(k_0, first, k_proxy, less | triples, u, [q + c for q in p], status)
    first_order_shift = sum(k_proxy[j] * c for j in proxies)
    assert shifted - first_order_shift == eq_5(*arguments)


@given(seed=SEEDS, c=st.floats(0, 4), status=st.text("dei", min_size=3, max_size=3))
def test_the_mixers_core_is_eq_5_with_the_weights_that_eq_14_names(seed, c, status):
    """Eq. 8, form d: k_ij = |f_ij| / 2 and k_i = |f_i| + c sum_j k_ij over the active proxies."""
    torch.manual_seed(seed)
    mixer = make_mvd(3, 1, form="d", order=2)
    mixer.minimum.value.fill_(c)
    u, p = (3 * torch.randn(2, 3).double()).tolist()
    p = [max(q, -float(mixer.minimum.value)) for q in p]  # as the running minimum ensures
    shown = torch.ones(1, 1, dtype=torch.float64)
    with torch.no_grad():
        f, f_proxy = mixer.first(shown).abs().view(2, 3).tolist()
        f_pair = mixer.interactions[0](shown).abs().view(3, 3).tolist()
        k_0 = float(mixer.bias(shown))
    k_sets = {(i, j): f_pair[i][j] / 2 for i, j in product(range(3), repeat=2) if i != j}
    shift = float(mixer.minimum.value)
    k_real = [
        f[i] + shift * sum(k for (d, j), k in k_sets.items() if d == i and status[d] == "d" and status[j] == "e")
        for i in range(3)
    ]
    expected = eq_5(k_0, k_real, f_proxy, k_sets, u, p, status)
    assert mixed(mixer, 0, u, p, status) == pytest.approx(expected, abs=1e-9)


# Eq. 13. Agents 0 and 1 decide, slots 2 and 3 are proxies; only pairs of one of each are kept.

DECIDING, PROXIES = (0, 1), (2, 3)
STEPS = (0.1, 0.05, 0.025)  # distance of every action from its optimum


class Smooth:
    """A random mixer of four utilities with cubic and transcendental terms, and utilities near an optimum.

    Q_i(a_i) = alpha_i + tilt * e_i + beta_i e_i^2 + rho_i e_i^3 with e_i = a_i - a_i*; tilt = 0 is Eq. 12.
    """

    def __init__(self, seed, tilt=0.0):
        generator = torch.Generator().manual_seed(seed)
        draw = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
        self.linear, self.pairs, self.triples = draw(4), draw(4, 4) + 0.5, draw(4, 4, 4)
        self.alpha, self.beta, self.rho = draw(4) + 0.5, -draw(4) - 0.5, draw(4)
        self.tilt = tilt
        self.direction = draw(4) + 0.5

    def q_tot(self, q):
        cubic = torch.einsum("ijk,i,j,k->", self.triples, q, q, q)
        return self.linear @ q + q @ self.pairs @ q + cubic + torch.exp(0.3 * q.sum()) - torch.tanh(q).prod()

    def utilities(self, step):
        e = step * self.direction
        return self.alpha - self.tilt * e + self.beta * e**2 + self.rho * e**3

    def expansion(self, keep_pairs):
        """(c, lambda [4], lambda_pairs [4, 4]) of Eq. 13: value and gradient of Q_tot at alpha are matched."""
        gradient = torch.autograd.functional.jacobian(self.q_tot, self.alpha)
        pairs = torch.zeros(4, 4, dtype=torch.float64)
        if keep_pairs:
            hessian = torch.autograd.functional.hessian(self.q_tot, self.alpha)
            pairs[:2, 2:] = hessian[:2, 2:]
        first = gradient - (pairs + pairs.T) @ self.alpha
        constant = self.q_tot(self.alpha) - first @ self.alpha - self.alpha @ pairs @ self.alpha
        return constant, first, pairs

    def remainder(self, step, keep_pairs=True):
        q = self.utilities(step)
        constant, first, pairs = self.expansion(keep_pairs)
        return abs(float(self.q_tot(q) - constant - first @ q - q @ pairs @ q))

    def order(self, keep_pairs=True):
        """log2 of how much the remainder falls when the distance to the optimum is halved."""
        return math.log2(self.remainder(STEPS[1], keep_pairs) / self.remainder(STEPS[2], keep_pairs))


@given(seed=SEEDS)
def test_eq_13_leaves_less_than_the_second_order_near_an_interior_optimum(seed):
    """Eq. 13: the remainder is o(|a - a*|^2); with weights from the gradient of Q_tot it is of order 4."""
    mixer = Smooth(seed)
    assert mixer.order() == pytest.approx(4.0, abs=0.8)
    for step in STEPS:
        assert mixer.remainder(step) < 1000 * step**4


@given(seed=SEEDS)
def test_the_additive_form_has_a_remainder_of_the_same_order(seed):
    """Why Eq. 13 does not favour products: under Eq. 12, Q_i - alpha_i is itself of second order.

    So every product of two deviations is of order 4, and Eq. 1 is as close an approximation as Eq. 5. The
    derivation permits products; it is no reason for them.
    """
    assert Smooth(seed).order(keep_pairs=False) == pytest.approx(4.0, abs=0.8)


@given(seed=SEEDS)
def test_at_an_optimum_on_the_border_eq_13_fails(seed):
    """Eq. 12 assumes an interior optimum of a differentiable utility: no first-order term.

    With one (an action bounded from above, say) products of deviations are of second order and all pairs
    that are left out (two deciding agents, squares) stay: neither form is o(|a - a*|^2).
    """
    mixer = Smooth(seed, tilt=1.0)
    for keep_pairs in (True, False):
        ratios = [mixer.remainder(step, keep_pairs) / step**2 for step in (1e-3, 5e-4)]
        assume(ratios[0] > 1e-2)
        assert ratios[1] == pytest.approx(ratios[0], rel=0.05)


@given(values(status=st.sampled_from(["de", "ed", "dee", "ded", "ide"])), NUMBERS, NUMBERS)
def test_products_help_where_only_deciding_agents_and_proxies_interact(arguments, du, dp):
    """The assumption under which Eq. 5 is more than Eq. 1: Q_tot has no other products. It is then exact.

    No optimum, no differentiable utilities: values of Q_tot at any utilities, so discrete actions as well.
    An additive form is wrong by a quarter of the second difference k_ij * du * dp at one of four points.
    """
    k_0, k_real, k_proxy, k_sets, u, p, status = arguments
    i, j = status.index("d"), status.index("e")
    corners = []
    for x, y in product((0, 1), repeat=2):
        moved_u = [q + x * du * (n == i) for n, q in enumerate(u)]
        moved_p = [q + y * dp * (n == j) for n, q in enumerate(p)]
        corners.append(eq_5(k_0, k_real, k_proxy, k_sets, moved_u, moved_p, status))
    assert corners[0] - corners[1] - corners[2] + corners[3] == k_sets[i, j] * du * dp


@given(
    alpha=st.fractions(1, 4, max_denominator=4),
    beta=st.fractions(-4, -1, max_denominator=4),
    mu=st.fractions(1, 4, max_denominator=4),
)
def test_the_printed_weights_of_a_square_lose_a_factor_2(alpha, beta, mu):
    """Appendix C.1 fails as printed for Q_tot = mu Q_d^2: lambda_d,2 = sum_i mu_id alpha_i counts it once.

    The step before has alpha_j Q_i + alpha_i Q_j, hence 2 mu alpha Q_d. With the printed weight the error is
    mu alpha beta e^2, of second order; with the factor k of the k-th order term it is mu beta^2 e^4.
    """
    for e in (Fraction(1, 10), Fraction(1, 1000)):
        q = alpha + beta * e**2
        truth = mu * q**2
        printed = (mu * alpha**2 - mu * alpha * alpha) + mu * alpha * q  # exact at the optimum itself
        doubled = -mu * alpha**2 + 2 * mu * alpha * q
        assert truth - printed == mu * alpha * beta * e**2 + mu * beta**2 * e**4
        assert truth - doubled == mu * beta**2 * e**4


@given(alpha=st.floats(1.5, 4))
def test_bounded_utilities_are_not_enough_for_the_weights_to_converge(alpha):
    """C.1: "like boundedness of alpha_i or small growth of the derivatives". Q_tot = log(1 + Q) is smooth
    and its derivatives grow like (k - 1)!: the terms k mu_k alpha^(k-1) of lambda grow for |alpha| > 1."""
    terms = [(-1) ** (k - 1) / k * k * alpha ** (k - 1) for k in range(1, 60)]
    partial = [sum(terms[:k]) for k in (20, 40, 59)]
    assert abs(partial[0]) < abs(partial[1]) < abs(partial[2])
    assert abs(partial[2] - 1 / (1 + alpha)) > 1e6  # the derivative of log(1 + Q) at alpha
