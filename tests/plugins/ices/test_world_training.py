"""How the world model is trained: what it draws, what moves, at which rate, and that it learns."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.ices.world import HIDDEN, VIEWS
from plugins.ices.world_training import BASELINE_EPS, ELBO_BETAS, ChangeMoments
from tests.plugins.ices.test_exploration import longer
from tests.plugins.tiny import make_learner, play

SEEDS = st.integers(0, 10_000)


def world_of(batch, **changes):
    return make_learner("ices", batch, **changes).world


@given(seed=SEEDS)
def test_every_played_transition_is_drawn_once_where_all_are_wanted(seed):
    batch = play(seed)
    world = world_of(batch, ices_world_transitions=None)
    expected = []
    for b in range(len(batch["obs"])):
        for t in range(int(batch["filled"][b].sum()) - 1):
            expected.append((batch["state"][b, t], batch["actions"][b, t, :, 0], batch["state"][b, t + 1]))
    state, actions, delta = world.draw(batch)
    assert torch.equal(state, torch.stack([each[0] for each in expected]))
    assert torch.equal(actions, torch.stack([each[1] for each in expected]))
    assert torch.equal(delta, torch.stack([each[2] - each[0] for each in expected]))


def test_draws_differ_from_call_to_call_and_never_repeat_a_transition():
    batch = play(0, n_episodes=8)
    world = world_of(batch, ices_world_transitions=10)
    rows = {tuple(row.tolist()) for row in world_of(batch, ices_world_transitions=None).draw(batch).state}
    draws = [[tuple(row.tolist()) for row in world.draw(batch).state] for _ in range(2)]
    assert all(len(set(draw)) == 10 and set(draw) <= rows for draw in draws)
    assert set(draws[0]) != set(draws[1])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("wanted", [None, 5])
@given(seed=SEEDS)
def test_steps_that_were_never_played_change_no_loss_and_no_draw(view, wanted, seed):
    batch = play(seed)
    short, long = (world_of(batch, ices_world_transitions=wanted) for _ in range(2))
    assert short.step(view, batch, 0) == long.step(view, longer(batch), 0)


def test_only_the_view_that_is_trained_moves_and_the_decoder():
    batch = play(0)
    for view, other in zip(VIEWS, reversed(VIEWS)):
        world = world_of(batch)
        before = {name: p.detach().clone() for name, p in world.model.named_parameters()}
        world.step(view, batch, 0)
        moved = {
            name.split(".")[0] for name, p in world.model.named_parameters() if not torch.equal(before[name], p)
        }
        assert moved == {f"baseline_{view}", f"prior_{view}", f"recognition_{view}", "decoder"}
        assert not any(name.endswith(other) for name in moved)


def test_the_local_view_never_sees_one_agent_and_each_is_it_about_as_often():
    batch = play(0, n_episodes=60)
    world = world_of(batch)
    seen = []
    elbo_loss = world.elbo_loss
    world.elbo_loss = lambda view, sample, noise: seen.append(sample.actions) or elbo_loss(view, sample, noise)
    world.step("global", batch, 0)
    world.step("local", batch, 0)
    everything, all_but_one = seen
    assert not bool((everything == HIDDEN).any())
    assert bool(((all_but_one == HIDDEN).sum(1) == 1).all())
    share = (all_but_one == HIDDEN).double().mean(0)
    assert float((share - 1 / 3).abs().max()) < 0.1


def test_one_step_is_adams_with_entries_clipped():
    """First step of Adam: rate * g / (|g| + eps), whatever the betas; g no larger than the clip."""
    batch = play(0)
    world = world_of(batch, ices_world_clip=1e-9, ices_world_lr=0.5)
    world.step("global", batch, 0)
    (group,) = world.optimisers["elbo_global"].param_groups
    assert (group["betas"], group["eps"]) == (ELBO_BETAS, 1e-8) == ((0.95, 0.999), 1e-8)
    assert max(float(p.grad.abs().max()) for p in group["params"]) == pytest.approx(1e-9)
    (group,) = world.optimisers["baseline_global"].param_groups
    assert (group["lr"], group["eps"], BASELINE_EPS) == (0.0001, 1e-5, 1e-5)


def test_the_rate_falls_to_a_hundredth_over_the_run():
    batch = play(0)
    world = world_of(batch, t_max=1000)
    for t_env, factor in ((0, 1.0), (500, 0.1), (1000, 0.01)):
        world.step("local", batch, t_env)
        assert world.optimisers["elbo_local"].param_groups[0]["lr"] == pytest.approx(0.0001 * factor)
        assert world.optimisers["baseline_local"].param_groups[0]["lr"] == 0.0001


@given(seed=SEEDS)
def test_changes_are_standardised_by_all_that_was_seen(seed):
    generator = torch.Generator().manual_seed(seed)
    chunks = [torch.randn(n, 3, generator=generator).double() * 4 + 2 for n in (1, 5, 9)]
    for chunk in chunks:
        chunk[:, 2] = 0.25  # a feature that never changes its change
    moments = ChangeMoments(3)
    for chunk in chunks:
        moments.update(chunk)
    seen = torch.cat(chunks)
    deviation = seen.var(0, correction=0).clamp(min=0.01).sqrt()
    torch.testing.assert_close(moments.standardise(seen), (seen - seen.mean(0)) / deviation)
    assert float(moments.standardise(seen)[:, 2].abs().max()) < 1e-6


def test_standardising_can_be_left_out():
    batch = play(0)
    world = world_of(batch, ices_normalise_change=False)
    world.step("global", batch, 0)
    assert world.moments.count == 0
    standardised = world_of(batch)
    standardised.step("global", batch, 0)
    assert standardised.moments.count == int((batch["filled"].sum(1) - 1).sum())


@pytest.mark.parametrize("view", VIEWS)
def test_training_lowers_both_losses_on_a_small_task(view):
    """The next state is the state moved by what the first agent did."""
    batch = play(3, n_episodes=16, n_agents=2)
    for t in range(batch["state"].shape[1] - 1):
        step = 0.3 * (batch["actions"][:, t, 0].double() - 2)
        batch["state"][:, t + 1] = (batch["state"][:, t] + step) * batch["filled"][:, t + 1]
    rates = {"ices_world_lr": 0.003, "ices_baseline_lr": 0.003, "ices_normalise_change": False}
    world = world_of(batch, **rates)
    history = [world.step(view, batch, 0) for _ in range(150)]
    first, last = history[0], history[-1]
    assert last[f"world_baseline_{view}"] < 0.5 * first[f"world_baseline_{view}"]
    assert last[f"world_elbo_{view}"] > first[f"world_elbo_{view}"] + 2.0


@pytest.mark.parametrize("who", [0, 1])
def test_after_training_the_agent_that_matters_earns_more(who):
    """Only agent `who` moves the state. The other earns something, too: the two views share a decoder, but nothing
    holds their latents together where an action does not matter."""
    batch = play(3, n_episodes=16, n_agents=2, longest=1)
    for t in range(batch["state"].shape[1] - 1):
        step = 0.04 * (batch["actions"][:, t, who].double() - 3)
        batch["state"][:, t + 1] = (batch["state"][:, t] + step) * batch["filled"][:, t + 1]
    learner = make_learner("ices", batch, ices_world_lr=0.003, ices_baseline_lr=0.003)
    for _ in range(100):
        for view in VIEWS:
            learner.world.step(view, batch, 0)
    state, actions, _ = learner.world.draw(batch)
    rows = torch.arange(len(state))
    mover, other = (
        float(learner.world.model.intrinsic_reward(state, actions, rows, torch.full_like(rows, i)).mean())
        for i in (who, 1 - who)
    )
    assert mover > other + 0.03
