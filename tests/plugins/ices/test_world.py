"""The world model against torch's own distributions, and the intrinsic reward's corners."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributions

from plugins.ices.world import (
    HIDDEN,
    SIGMA_FLOOR,
    VIEWS,
    Normal,
    WorldModel,
    divergence,
    hide,
    log_density,
    mean_divergence_log2,
    normal,
)

N, A, S, Z, R = 3, 5, 4, 6, 7
SEEDS = st.integers(0, 10_000)


def build(seed=0):
    torch.manual_seed(seed)
    return WorldModel(
        n_agents=N, n_actions=A, state_dim=S, embedding_dim=2, hidden_dim=8, latent_dim=Z
    ).double()


def inputs(seed=0, n_rows=R):
    """state, actions, delta, noise."""
    generator = torch.Generator().manual_seed(seed)
    state, delta = torch.randn(2, n_rows, S, generator=generator, dtype=torch.float64)
    actions = torch.randint(A, (n_rows, N), generator=generator)
    return state, actions, delta, torch.randn(n_rows, Z, generator=generator, dtype=torch.float64)


def pair(seed):
    """Two sets of normal distributions, [R, Z]."""
    mean, other, log_sigma, log_other = torch.randn(
        4, R, Z, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return Normal(mean, log_sigma.exp()), Normal(other, log_other.exp())


def theirs(of):
    return distributions.Normal(of.mean, of.sigma)


@given(seed=SEEDS)
def test_density_and_divergence_are_those_of_torch(seed):
    p, q = pair(seed)
    values = q.mean + 0.5
    torch.testing.assert_close(log_density(values, p), theirs(p).log_prob(values))
    torch.testing.assert_close(divergence(p, q), distributions.kl_divergence(theirs(p), theirs(q)))


@pytest.mark.parametrize("view", VIEWS)
@given(seed=SEEDS)
def test_elbo_is_put_together_by_torchs_distributions(view, seed):
    """One sample mu + sigma * noise; the log-likelihood of all features, minus the whole latent's divergence."""
    model, (state, actions, delta, noise) = build(seed), inputs(seed)
    parameters = getattr(model, f"recognition_{view}")(actions, state, delta)
    q = distributions.Normal(parameters[:, :Z], parameters[:, Z:].exp().clamp(min=0.01))
    guess = torch.tanh(getattr(model, f"baseline_{view}")(actions, state))
    parameters = getattr(model, f"prior_{view}")(actions, state, guess)
    prior = distributions.Normal(parameters[:, :Z], parameters[:, Z:].exp().clamp(min=0.01))
    decoded = model.decoder["mlp"](q.loc + q.scale * noise)
    likelihood = distributions.Normal(torch.tanh(decoded[:, :S]), decoded[:, S:].exp().clamp(min=0.01))
    expected = [
        float(likelihood.log_prob(delta)[r].sum() - distributions.kl_divergence(q, prior)[r].sum())
        for r in range(R)
    ]
    torch.testing.assert_close(model.elbo(view, state, actions, delta, noise).tolist(), expected)


def test_the_sample_lets_gradients_through_and_the_guess_does_not():
    """Recognition learns through its sample; the baseline learns by its squared error only."""
    model, (state, actions, delta, noise) = build(), inputs()
    model.elbo("global", state, actions, delta, noise).mean().backward()
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"prior_global", "recognition_global", "decoder"}
    posterior = model.recognition("global", state, actions, delta)
    model.zero_grad()
    reconstruction = model.decode(posterior.mean + posterior.sigma * noise)
    log_density(delta, reconstruction).sum().backward()
    assert float(model.recognition_global.mlp[4].weight.grad.abs().sum()) > 0


def test_two_optimisers_of_a_view_move_its_networks_and_views_share_the_decoder():
    model = build()
    owners = {id(p): name.split(".")[0] for name, p in model.named_parameters()}
    for view in VIEWS:
        assert {owners[id(p)] for p in model.trained_by(view, "baseline")} == {f"baseline_{view}"}
        expected = {f"prior_{view}", f"recognition_{view}", "decoder"}
        assert {owners[id(p)] for p in model.trained_by(view, "elbo")} == expected


def test_sigma_has_a_floor_and_the_mean_none():
    of = normal(torch.tensor([[-7.0, 3.0, -99.0, 2.0]]))
    assert of.mean.tolist() == [[-7.0, 3.0]]
    assert of.sigma[0].tolist() == pytest.approx([SIGMA_FLOOR, math.exp(2.0)])


def test_a_hidden_action_is_row_0_and_stays_zero():
    model = build()
    assert float(model.baseline_local.embedding.weight[0].detach().abs().max()) == 0.0
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    state, actions, delta, noise = inputs()
    agents = torch.arange(R) % N
    masked = hide(actions, agents)
    assert all(int(masked[r, r % N]) == HIDDEN for r in range(R))
    assert torch.equal(masked.masked_fill(masked == HIDDEN, 0), actions.scatter(1, agents.unsqueeze(1), 0))
    for _ in range(3):
        optimiser.zero_grad()
        guess = (model.baseline("local", state, masked) - delta).square().mean()
        (guess - model.elbo("local", state, masked, delta, noise).mean()).backward()
        optimiser.step()
    for kind in ("baseline", "prior", "recognition"):
        weight = getattr(model, f"{kind}_local").embedding.weight
        assert float(weight[0].detach().abs().max()) == 0.0
        assert float(weight.grad[1:].abs().max()) > 0.0


@given(seed=SEEDS)
def test_intrinsic_reward_by_loop(seed):
    """1 - exp(-mean over the latent of log2(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2)."""
    model, (state, actions, _, _) = build(seed), inputs(seed)
    rows, agents = torch.tensor([0, 0, 5, 3]), torch.tensor([1, 2, 0, 1])
    given = model.intrinsic_reward(state, actions, rows, agents)
    assert not given.requires_grad
    for k, (r, i) in enumerate(zip(rows.tolist(), agents.tolist())):
        without = actions[r : r + 1].clone()
        without[0, i] = -1
        p = model.prior("global", state[r : r + 1], actions[r : r + 1])
        q = model.prior("local", state[r : r + 1], without)
        total = 0.0
        for z in range(Z):
            m_p, s_p, m_q, s_q = (float(x[0, z].detach()) for x in (*p, *q))
            total += math.log2(s_q / s_p) + (s_p**2 + (m_p - m_q) ** 2) / (2 * s_q**2) - 0.5
        assert float(given[k]) == pytest.approx(1 - math.exp(-total / Z), abs=1e-12)


def test_an_action_that_changes_no_belief_earns_nothing():
    p, _ = pair(0)
    assert float(mean_divergence_log2(p, p).abs().max()) == 0.0


def test_binary_logarithms_let_the_reward_be_a_little_negative():
    """Trap: the reference's KL is no KL. Its least value per feature is at s_p / s_q = (1 / ln 2)^(1/2),
    (log2(ln 2) + 1 / ln 2 - 1) / 2 = -0.0430, so an intrinsic reward can be as low as -0.0440."""
    ratio = (1 / math.log(2)) ** 0.5
    least = (math.log2(math.log(2)) + 1 / math.log(2) - 1) / 2
    zero, one = torch.zeros(1, 1).double(), torch.ones(1, 1).double()
    p, q = Normal(zero, ratio * one), Normal(zero, one)
    assert float(mean_divergence_log2(p, q)) == pytest.approx(least, abs=1e-12)
    assert least == pytest.approx(-0.0430, abs=1e-4)
    assert 1 - math.exp(-least) == pytest.approx(-0.0440, abs=1e-4)
    for factor in (0.9, 1.1):
        assert float(mean_divergence_log2(Normal(zero, factor * ratio * one), q)) > least
    assert float(divergence(p, q)) > 0.0  # the true one is
