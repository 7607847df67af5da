"""SHAQ: coalitions by hand, random orders, and the target side without a mixer."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.config.schema import load_alg
from plugins.mixers import Sizes, build_mixer
from plugins.mixers.base import Extras
from plugins.mixers.shaq import coalition_means


def build(**changes):
    return build_mixer("shaq", Sizes(3, 4, 2), load_alg("shaq") | changes).double()


def test_coalition_means_by_hand():
    """Utilities 1, 2, 4. Order 1, 2, 0: agent 0 comes after 2 and 4. Order 0, 1, 2."""
    utilities = torch.tensor([[1.0, 2.0, 4.0]])
    positions = torch.tensor([[2, 0, 1], [0, 1, 2]]).t().unsqueeze(0)  # [1, N, 2]
    means = coalition_means(utilities, positions)
    assert means[0, :, 0].tolist() == [3.0, 0.0, 2.0]
    assert means[0, :, 1].tolist() == [0.0, 1.0, 1.5]


@given(seed=st.integers(0, 10_000), n_agents=st.integers(1, 6))
def test_coalition_means_agree_with_a_loop(seed, n_agents):
    torch.manual_seed(seed)
    u, positions = torch.randn(4, n_agents).double(), torch.rand(4, n_agents, 3).argsort(dim=1)
    means = coalition_means(u, positions)
    for r in range(4):
        for i in range(n_agents):
            for m in range(3):
                before = [u[r, j] for j in range(n_agents) if positions[r, j, m] < positions[r, i, m]]
                expected = sum(before) / len(before) if before else 0.0
                assert float(means[r, i, m]) == pytest.approx(float(expected))


def test_alpha_by_hand():
    """One order; W_1 rows 1 (coalition) and -2 (own, so 2), b_1 = -3, w_2 = 0.5, b_2 = -2, at every state.

    Utilities 1, 2 in the order 0, 1: agent 0: elu(0 + 2 - 3) / 2 - 2 = (1/e - 1) / 2 - 2, agent 1:
    elu(1 + 4 - 3) / 2 - 2 = -1.
    """
    mixer = build_mixer(
        "shaq", Sizes(2, 1, 1), load_alg("shaq") | {"shaq_embed_dim": 1, "shaq_hypernet_layers": 1}
    ).double()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.zero_()
        mixer.hyper_w_1.bias.copy_(torch.tensor([1.0, -2.0]))
        mixer.hyper_b_1.bias.fill_(-3.0)
        mixer.hyper_w_final.bias.fill_(-0.5)
        mixer.hyper_b_2[2].bias.fill_(-2.0)
    u, state = torch.tensor([[1.0, 2.0]]).double(), torch.zeros(1, 1).double()
    positions = torch.tensor([[[0], [1]]])
    first = 1.0 + abs((torch.tensor(-1.0).double().exp() - 1.0) / 2 - 2)
    torch.testing.assert_close(
        mixer.alpha(u, state, positions).detach(), torch.tensor([[float(first), 2.0]]).double()
    )
    greedy = torch.tensor([[True, False]])
    assert float(mixer(u, state, Extras(is_greedy=greedy, positions=positions))) == pytest.approx(1 + 2 * 2)
    both = torch.tensor([[True, True]])
    assert float(mixer(u, state, Extras(is_greedy=both, positions=positions))) == pytest.approx(3)


def test_orders_are_permutations_drawn_evenly():
    generator = torch.Generator().manual_seed(5)
    positions = build().draw(600, generator)["positions"]
    assert positions.shape == (600, 3, 10)
    orders = Counter(tuple(order) for order in positions.transpose(1, 2).reshape(-1, 3).tolist())
    assert len(orders) == 6 and set(map(sum, orders)) == {3}
    assert all(abs(count - 1000) < 5 * (6000 * 5 / 36) ** 0.5 for count in orders.values())


def test_the_target_side_is_the_plain_sum_without_parameters():
    """Trap: SHAQ's missing target mixer."""
    target = build().make_target()
    assert list(target.parameters()) == [] and target.needs == frozenset()
    q = torch.tensor([[1.0, -2.0, 5.0]])
    assert target(q, torch.zeros(1, 4)).tolist() == [[4.0]]


def test_the_gradient_reaches_utilities_through_alpha_too():
    torch.manual_seed(0)
    mixer, state = build(), torch.randn(4, 4).double()
    u = torch.randn(4, 3).double().requires_grad_()
    positions = torch.rand(4, 3, 10).argsort(dim=1)
    nobody = Extras(is_greedy=torch.zeros(4, 3, dtype=torch.bool), positions=positions)
    gradient = torch.autograd.grad(mixer(u, state, nobody).sum(), u)[0]
    alpha = mixer.alpha(u, state, positions).detach()
    assert float((gradient - alpha).abs().min()) > 1e-6
