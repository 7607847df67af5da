"""NA2Q: terms, credits, latents with noise, masked terms, and what is too large."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.config.schema import load_alg
from plugins.mixers import Sizes, build_mixer
from plugins.mixers.base import Extras
from plugins.mixers.shape_functions import ShapeFunctions, count_terms, term_sets

SEEDS = st.integers(0, 10_000)
HIDDEN = 6


def build(name="na2q", n_agents=3, **changes):
    config = load_alg(name) | {"hidden_dim": HIDDEN} | changes
    return build_mixer(name, Sizes(n_agents, 4, 5), config).double()


def random_rows(seed, n_rows=5, n_agents=3):
    torch.manual_seed(seed)
    executing = torch.rand(n_rows, n_agents) < 0.5

    def normal(*shape):
        return torch.randn(n_rows, *shape).double()

    extras = Extras(
        hidden=normal(n_agents, HIDDEN), noise=normal(n_agents, HIDDEN), obs=normal(n_agents, 5),
        hidden_decision=normal(n_agents, HIDDEN), noise_decision=normal(n_agents, HIDDEN),
        executing=executing, q_proxy=normal(n_agents) * executing,
    )  # fmt: skip
    return normal(n_agents), normal(4), extras


@pytest.mark.parametrize("order, terms", [(1, 3), (2, 6), (3, 7)])
def test_terms_are_all_sets_up_to_the_order(order, terms):
    assert count_terms(3, order) == terms == len(term_sets(3, order))
    mixer = build(na2q_order=order)
    q, state, extras = random_rows(0)
    assert mixer.terms(q).shape == (5, terms)
    assert mixer.credits(state, mixer.latent(extras), None).shape == (5, terms)


def test_a_shape_function_by_hand():
    """One pair, weights -1 (so 1) everywhere, biases 0: 4 elu(8 elu(u + v))."""
    shape = ShapeFunctions(2, 2).double()
    with torch.no_grad():
        for weight, bias in zip(shape.weights, shape.biases):
            weight.fill_(-1.0)
            bias.zero_()
    assert float(shape(torch.tensor([[1.0, 2.0]]).double())) == pytest.approx(3.0 * 8 * 4)
    low = math.exp(-3.0) - 1  # elu(-3)
    below = float(shape(torch.tensor([[-1.0, -2.0]]).double()))
    assert below == pytest.approx(4 * (math.exp(8 * low) - 1))


def test_a_weight_of_zero_can_leave_it():
    shape = ShapeFunctions(1, 1)
    with torch.no_grad():
        shape.weights[0].zero_()
    shape(torch.ones(1, 1)).sum().backward()
    assert float(shape.weights[0].grad.abs().min()) > 0


@given(seed=SEEDS)
def test_the_latent_carries_its_noise_and_takes_no_gradient(seed):
    """Trap: NA2Q's noise in the latent; handed in, so the same noise gives the same value."""
    q, state, extras = random_rows(seed)
    mixer = build()
    extras = extras._replace(hidden=extras.hidden.requires_grad_())
    q_tot = mixer(q, state, extras)
    assert torch.equal(q_tot, mixer(q, state, extras))
    assert not torch.equal(q_tot, mixer(q, state, extras._replace(noise=extras.noise + 1.0)))
    latent = mixer.vae.encode(extras.hidden, extras.noise)
    torch.testing.assert_close(mixer.latent(extras), latent.mean + latent.std * extras.noise)
    assert torch.autograd.grad(q_tot.sum(), extras.hidden, allow_unused=True)[0] is None


def test_the_auto_encoders_losses_reach_the_agents_and_are_weighted():
    _, _, extras = random_rows(1)
    hidden = extras.hidden.requires_grad_()
    light, heavy = build(na2q_vae_weight=0.1), build(na2q_vae_weight=0.4)
    heavy.load_state_dict(light.state_dict())
    losses = light.auxiliary_losses(extras)
    assert float(torch.autograd.grad(sum(losses.values()), hidden)[0].abs().min()) > 0
    for name, loss in heavy.auxiliary_losses(extras).items():
        assert float(loss.detach()) == pytest.approx(4 * float(losses[name].detach()))


def test_noise_is_standard_normal():
    noise = build().draw(2000, torch.Generator().manual_seed(3))["noise"]
    assert noise.shape == (2000, 3, HIDDEN)
    assert abs(float(noise.mean())) < 0.03 and abs(float(noise.std()) - 1) < 0.03


@given(seed=SEEDS)
def test_a_term_with_a_masked_proxy_has_no_credit(seed):
    """Traps: softmax over masked slots; f_J(0) is not 0, so a zero utility would leave the term in."""
    q, state, extras = random_rows(seed)
    mixer = build("na2q_a")
    present = torch.cat([torch.ones_like(extras.executing), extras.executing], dim=1)
    credits = mixer.credits(state, mixer.latent(extras), extras.executing).detach()
    torch.testing.assert_close(credits.sum(dim=1), torch.ones(5).double())
    for term, slots in enumerate(term_sets(6, 2)):
        there = present[:, list(slots)].all(dim=1)
        assert bool((credits[~there, term] == 0).all()) and bool((credits[there, term] > 0).all())
    values = mixer.terms(torch.cat([q, extras.q_proxy], dim=1)).detach()
    assert bool((values.abs() > 0).all())  # masked ones too
    expected = (credits * values).sum(dim=1, keepdim=True) + mixer.bias(state)
    torch.testing.assert_close(mixer(q, state, extras), expected)


def test_zeroed_proxies_keep_their_credit_and_latent():
    """The option of register entry m: f_J(0) with the credit that the attention gives it."""
    q, state, extras = random_rows(4)
    mixer = build("na2q_a", na2q_masked_proxies="zeroed")
    latent = mixer.vae.encode(extras.hidden_decision, extras.noise_decision).z.detach()
    torch.testing.assert_close(mixer.latent(extras)[:, 3:], latent)
    credits = mixer.credits(state, mixer.latent(extras), extras.executing).detach()
    assert float(credits.min()) > 0
    values = mixer.terms(torch.cat([q, extras.q_proxy * extras.executing], dim=1))
    garbage = extras._replace(q_proxy=extras.q_proxy + 100.0 * ~extras.executing)
    expected = (credits * values).sum(dim=1, keepdim=True) + mixer.bias(state)
    torch.testing.assert_close(mixer(q, state, garbage), expected)


def test_without_executing_agents_only_real_terms_are_left():
    q, state, extras = random_rows(2)
    mixer = build("na2q_a")
    credits = mixer.credits(state, mixer.latent(extras), torch.zeros_like(extras.executing)).detach()
    real = [all(slot < 3 for slot in slots) for slots in term_sets(6, 2)]
    assert bool((credits[:, torch.tensor(real)] > 0).all())
    assert float(credits[:, ~torch.tensor(real)].sum()) == 0.0


def test_a_proxys_latent_is_its_agents_at_the_decision():
    _, _, extras = random_rows(3)
    mixer = build("na2q_a")
    latent = mixer.latent(extras)
    there = extras.executing
    expected = mixer.vae.encode(extras.hidden_decision, extras.noise_decision).z.detach()
    torch.testing.assert_close(latent[:, 3:][there], expected[there])
    assert float(latent[:, 3:][~there].abs().max()) == 0.0


def test_what_is_too_large_is_refused_with_number_and_memory():
    """Eight agents, sets of three among 16 slots: 696 terms."""
    with pytest.raises(ValueError) as error:
        build("na2q_a", n_agents=8, na2q_order=3)
    assert str(error.value) == (
        "na2q_a: na2q_order=3 with 16 slots makes 696 terms, whose attention holds 696^2 * 64 = 31,002,624 "
        "weights (496.0 MB to train them, and 1.9 MB for each step of a batch), expected at most 10,000,000. "
        "Lower na2q_order."
    )
    assert build("na2q", n_agents=8, na2q_order=3).n_terms == 92
    assert build("na2q_a", n_agents=8, na2q_order=2).n_terms == 136


def test_an_order_above_the_slots_is_refused():
    with pytest.raises(ValueError, match="na2q: na2q_order=3 is not accepted with 2 slots, expected 1 to 2"):
        build(n_agents=2, na2q_order=3)
    assert build("na2q_a", n_agents=2, na2q_order=3).n_terms == 14
