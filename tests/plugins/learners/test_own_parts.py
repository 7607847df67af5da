"""What single mixers ask of the learner: networks, random inputs, losses, optimisers, target sides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.learners.draws import Draws
from plugins.learners.optimisers import AGENT, MIXER
from plugins.vsp.indices import decision_steps, read_status
from tests.plugins.tiny import HOST_KEYS, make_learner, play

SEEDS = st.integers(0, 10_000)


def best(q_all, avail, b, t, i):
    """(largest utility over available actions, its action)."""
    choices = [(float(q_all[b, t, i, a]), -a) for a in range(q_all.shape[3]) if avail[b, t, i, a]]
    value, action = max(choices)
    return value, -action


def transitions(sides):
    """(episode, step) of every row, in order."""
    return [(int(b), int(t)) for b, t, _ in sides.mask.nonzero()]


@pytest.mark.parametrize("alg", ["qplex", "qplex_a"])
@given(seed=SEEDS)
def test_qplex_compares_with_the_best_of_the_same_network(alg, seed):
    """Trap: max_q_i from the right network: live beside live utilities, target beside target utilities."""
    batch = play(seed, n_episodes=2, n_steps=6)
    learner = make_learner(alg, batch)
    sides = learner.compute(batch).sides
    live, target = learner.mac.unroll(batch).detach(), learner.target_mac.unroll(batch).detach()
    avail = batch["avail_actions"]
    for row, (b, t) in enumerate(transitions(sides)):
        for i in range(live.shape[2]):
            extras = sides.live.extras
            assert float(extras.q_greedy[row, i]) == best(live, avail, b, t, i)[0]
            assert int(extras.actions_onehot[row, i].argmax()) == int(batch["actions"][b, t, i])
            extras = sides.target.extras
            chosen = best(live, avail, b, t + 1, i)[1]
            assert float(extras.q_greedy[row, i]) == best(target, avail, b, t + 1, i)[0]
            assert int(extras.actions_onehot[row, i].argmax()) == chosen
            assert float(sides.target.q[row, i]) == float(target[b, t + 1, i, chosen])
    assert not sides.live.extras.q_greedy.requires_grad


def test_qplex_without_double_q_has_no_advantage_in_its_targets():
    batch = play(1)
    learner = make_learner("qplex", batch, double_q=False)
    side = learner.compute(batch).sides.target
    assert float(learner.target_mixer.advantage(*side).abs().max()) == 0.0


@given(seed=SEEDS)
def test_shaq_values_next_steps_by_the_sum_whatever_alpha_is(seed):
    """Trap: SHAQ's missing target mixer."""
    batch = play(seed, n_episodes=2, n_steps=6)
    learner = make_learner("shaq", batch)
    update = learner.compute(batch)
    mask = update.sides.mask
    reward, ended = batch["reward"][:, :-1][mask], batch["terminated"][:, :-1][mask].double()
    expected = reward + learner.keys.gamma * (1 - ended) * update.sides.target.q.sum(dim=1)
    torch.testing.assert_close(update.target.squeeze(1), expected)
    with torch.no_grad():
        for parameter in learner.mixer.parameters():
            parameter.add_(1.0)
    assert torch.equal(learner.compute(batch).target, update.target)
    assert list(learner.target_mixer.parameters()) == []


@given(seed=SEEDS)
def test_shaq_knows_who_acted_greedily(seed):
    batch = play(seed, n_episodes=2, n_steps=6)
    learner = make_learner("shaq", batch)
    sides = learner.compute(batch).sides
    live, avail = learner.mac.unroll(batch).detach(), batch["avail_actions"]
    for row, (b, t) in enumerate(transitions(sides)):
        for i in range(live.shape[2]):
            greedy = best(live, avail, b, t, i)[1] == int(batch["actions"][b, t, i])
            assert bool(sides.live.extras.is_greedy[row, i]) == greedy
            assert greedy or int(avail[b, t, i].sum()) > 1  # who has no choice is greedy


def test_copying_targets_leaves_shaqs_sum_alone():
    batch = play(0)
    learner = make_learner("shaq", batch, target_update_interval_or_tau=1000)
    learner._copy_to_targets()
    for live, target in zip(learner.mac.parameters(), learner.target_mac.parameters(), strict=True):
        assert torch.equal(live, target)
    soft = make_learner("shaq", batch, target_update_interval_or_tau=0.5)
    soft.train(batch, 0, 1)


# random inputs


@pytest.mark.parametrize("alg", ["shaq", "na2q", "na2q_a"])
def test_random_inputs_are_drawn_anew_and_follow_the_runs_seed(alg):
    batch = play(2)
    learner, same, other = (make_learner(alg, batch) for _ in range(3))
    other.draws = Draws(HOST_KEYS["seed"] + 1)
    first, second = learner.compute(batch), learner.compute(batch)
    assert not torch.equal(first.q_tot, second.q_tot)
    assert torch.equal(first.q_tot, same.compute(batch).q_tot)
    assert not torch.equal(first.q_tot, other.compute(batch).q_tot)


def test_the_two_sides_of_na2q_draw_apart():
    batch = play(2)
    sides = make_learner("na2q", batch).compute(batch).sides
    assert float((sides.live.extras.noise - sides.target.extras.noise).abs().min()) > 0


def test_random_inputs_do_not_touch_torchs_own_stream():
    batch = play(2)
    learner = make_learner("na2q", batch)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    learner.train(batch, 0, 1)
    assert torch.equal(before, torch.get_rng_state())


@given(seed=SEEDS)
def test_na2q_a_reads_hidden_state_and_noise_at_the_decision(seed):
    """By loop: what a proxy remembers is what its agent's network held when it decided, noise and all."""
    batch = play(seed, n_episodes=2, n_steps=6)
    learner = make_learner("na2q_a", batch)
    drawn = learner.draws.resume_state()
    sides = learner.compute(batch).sides
    learner.draws.load_resume_state(drawn)
    noise = learner.draws.fields(learner.mixer, batch["filled"], batch["obs"])["noise"]
    _, hidden = learner.mac.unroll(batch, return_hidden=True)
    decision_t = decision_steps(read_status(batch["avail_actions"], batch["filled"]).deciding)
    extras = sides.live.extras
    for row, (b, t) in enumerate(transitions(sides)):
        for i in range(hidden.shape[2]):
            k = int(decision_t[b, t, i])
            assert torch.equal(extras.hidden[row, i], hidden[b, t, i])
            assert torch.equal(extras.hidden_decision[row, i], hidden[b, k, i])
            assert torch.equal(extras.noise_decision[row, i], noise[b, k, i])


def test_na2qs_losses_are_added_and_logged():
    batch = play(0)
    learner = make_learner("na2q", batch)
    learner.train(batch, 0, 1)
    logged = {name: value for name, value, _ in learner.logger}
    assert {"vae_reconstruction", "vae_kl", "vae_mask", "grad_norm", "grad_norm_mixer"} <= set(logged)
    none = make_learner("na2q", batch, na2q_vae_weight=0.0)
    none.train(batch, 0, 1)
    without = {name: value for name, value, _ in none.logger}["loss"]
    own = sum(logged[name] for name in ("vae_reconstruction", "vae_kl", "vae_mask"))
    assert logged["loss"] == pytest.approx(without + own)


@pytest.mark.parametrize("alg", ["na2q", "na2q_a"])
@pytest.mark.parametrize("fused", [False, True])
def test_na2qs_losses_over_the_whole_batch_run_on_after_an_end(alg, fused):
    """The option of register entry u: plain means over B * T steps, the networks stepped through the padding."""
    batch = play(5)
    batch["obs"] += (batch["filled"].unsqueeze(3) == 0) * 0.3  # something to see after an end
    assert not bool(batch["filled"].all())
    learner = make_learner(alg, batch, fused=fused, na2q_vae_steps="all")
    noise = torch.Generator()
    noise.set_state(learner.draws.resume_state())
    losses = learner.compute(batch).own_losses
    whole = batch | {"filled": torch.ones_like(batch["filled"])}
    _, hidden = learner.mac.unroll(whole, return_hidden=True)
    n_episodes, n_stored, n_agents, width = hidden.shape
    n_played = int(batch["filled"].sum())
    for _ in range(2):  # the two sides' own
        torch.randn(n_played, n_agents, width, generator=noise)
    drawn = torch.randn(n_episodes * n_stored, n_agents, width, generator=noise).double()
    drawn = drawn.view(n_episodes, n_stored, n_agents, width)
    seen = [x[:, :-1].flatten(0, 1) for x in (hidden, batch["obs"], drawn)]
    expected = learner.mixer.vae.losses(*seen)
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], 0.1 * loss)
    played = make_learner(alg, batch, fused=fused).compute(batch).own_losses
    assert all(not torch.allclose(losses[name], played[name]) for name in losses)


# optimisers


def test_each_optimiser_clips_its_own_gradient():
    batch = play(0)
    batch["reward"] *= 1000
    learner = make_learner("shaq", batch, grad_norm_clip=0.5)
    learner.train(batch, 0, 1)
    for module in (learner.mac.agent, learner.mixer):
        norm = torch.stack([p.grad.norm() for p in module.parameters()]).norm()
        assert float(norm) == pytest.approx(0.5, rel=1e-4)


def test_rmsprop_steps_by_its_formula_with_both_rates():
    """First step: gradient / (sqrt((1 - alpha) gradient^2) + eps) times the rate."""
    batch = play(0)
    learner = make_learner("shaq", batch, lr=0.01, mixer_lr=0.03, optim_alpha=0.9, optim_eps=0.1)
    before = [p.detach().clone() for p in learner.params]
    learner.train(batch, 0, 1)
    n_agent = len(list(learner.mac.parameters()))
    for k, (old, new) in enumerate(zip(before, learner.params)):
        rate = 0.01 if k < n_agent else 0.03
        step = rate * new.grad / ((0.1 * new.grad.square()).sqrt() + 0.1)
        torch.testing.assert_close(new.detach(), old - step)


@pytest.mark.parametrize("alg, kinds", [
    ("mvd", {AGENT: "Adam"}),
    ("qplex", {AGENT: "RMSprop"}),
    ("na2q", {AGENT: "RMSprop", MIXER: "Adam"}),
    ("na2q_a", {AGENT: "Adam", MIXER: "Adam"}),
    ("shaq", {AGENT: "RMSprop", MIXER: "RMSprop"}),
])
def test_optimisers_are_those_of_the_configuration_and_move_everything_once(alg, kinds):
    learner = make_learner(alg, play(0))
    assert {name: type(each).__name__ for name, each in learner.optimisers.by_name.items()} == kinds
    groups = [group for each in learner.optimisers.by_name.values() for group in each.param_groups]
    moved = [parameter for group in groups for parameter in group["params"]]
    assert [id(p) for p in moved] == [id(p) for p in learner.params]


@pytest.mark.parametrize("alg, changes, words", [
    ("vdn", {"mixer_optimiser": "adam", "mixer_lr": 0.1}, "does not go with a mixer without parameters"),
    ("qmix", {"mixer_optimiser": "adam"}, "does not go with mixer_lr=None"),
])
def test_an_optimiser_with_nothing_to_move_is_refused(alg, changes, words):
    with pytest.raises(ValueError, match=words) as error:
        make_learner(alg, play(0), **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("alg", ["na2q", "na2q_a"])
def test_na2q_trains_on_its_own_agent(alg):
    """The fused unroll: every parameter moves, those of each agent too."""
    batch = play(0, n_episodes=8, longest=2)
    learner = make_learner(alg, batch, fused=True)
    before = [p.detach().clone() for p in learner.params]
    learner.train(batch, 0, 1)
    assert "own_weight" in learner.mac.agent.state_dict()
    assert all(not torch.equal(old, new) for old, new in zip(before, learner.params))
