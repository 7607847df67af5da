"""The learner: what one update does, what it refuses, what it saves."""

import copy
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.config.schema import load_alg
from plugins.learners import LEARNERS
from plugins.learners.checks import NonFiniteError
from plugins.learners.value_learner import ValueLearner
from tests.plugins.tiny import VALUE_ALGS, configuration, gradients, make_learner, play

ALGS = VALUE_ALGS
SEEDS = st.integers(0, 10_000)


def padded(batch, n_extra=3):
    """The batch with steps that were never played at its end."""
    return {
        name: torch.cat([x, torch.zeros_like(x[:, :1]).repeat_interleave(n_extra, 1)], 1)
        for name, x in batch.items()
    }


def loss_and_gradients(alg, batch, **changes):
    learner = make_learner(alg, batch, **changes)
    update = learner.compute(batch)
    update.loss.backward()
    return update.loss.detach(), gradients(learner), learner


def snapshot(learner):
    modules = (learner.mac.agent, learner.target_mac.agent, learner.mixer, learner.target_mixer)
    return [p.detach().clone() for module in modules for p in module.parameters()]


@pytest.mark.parametrize("alg", ALGS)
def test_every_algorithm_trains(alg):
    """Loss finite, every parameter of the live side moved, none of the target side."""
    batch = play(0, dtype=torch.float32)
    learner = make_learner(alg, batch, dtype=torch.float32)
    live = [p.detach().clone() for p in learner.params]
    targets = [*learner.target_mac.parameters(), *learner.target_mixer.parameters()]
    before = [p.detach().clone() for p in targets]
    learner.train(batch, t_env=5, episode_num=1)
    assert all(not torch.equal(a, b) for a, b in zip(live, learner.params))
    assert all(torch.equal(a, b) for a, b in zip(before, targets))
    logged = {name: value for name, value, _ in learner.logger}
    assert {"loss", "grad_norm", "td_error_abs", "q_taken_mean", "target_mean"} <= set(logged)
    assert all(torch.isfinite(torch.tensor(value)) for value in logged.values())


@pytest.mark.parametrize("alg", ALGS)
@given(seed=SEEDS)
def test_steps_that_were_never_played_change_nothing(alg, seed):
    """Invariant: an episode padded with unfilled steps gives the same loss and gradients."""
    batch = play(seed, n_episodes=2, n_steps=5)
    loss, grads, _ = loss_and_gradients(alg, batch)
    more, padded_grads, _ = loss_and_gradients(alg, padded(batch))
    torch.testing.assert_close(more, loss, rtol=0, atol=1e-12)
    for name, gradient in grads.items():
        torch.testing.assert_close(padded_grads[name], gradient, rtol=0, atol=1e-12)


@given(seed=SEEDS)
def test_c_never_decreases_and_ignores_steps_after_the_end(seed):
    """Trap: utilities of unavailable actions or of unplayed steps must not enter C."""
    batch = play(seed)
    learner = make_learner("mvd", batch)
    seen = []
    for k in range(4):
        learner.compute(play(seed + k))
        assert torch.equal(learner.mixer.minimum.value, learner.target_mixer.minimum.value)
        seen.append(float(learner.mixer.minimum.value))
    assert seen == sorted(seen)

    c = make_learner("mvd", batch)
    unroll = c.mac.unroll

    def spoilt(some_batch):
        """Utilities of -9999999 wherever an action is unavailable or no step was played."""
        return torch.where(some_batch["avail_actions"] != 0, unroll(some_batch), -9999999.0)

    c.mac.unroll = spoilt
    c.compute(padded(batch))
    clean = make_learner("mvd", batch)
    clean.compute(batch)
    assert float(c.mixer.minimum.value) == pytest.approx(float(clean.mixer.minimum.value))


@given(seed=SEEDS)
def test_a_decision_weighs_as_much_as_it_lasts(seed):
    """Invariant: under VDN(A) its gradient is its duration: once as an agent, then as a proxy."""
    batch = play(seed)
    learner = make_learner("vdn_a", batch)
    q_all = learner.mac.unroll(batch).detach().requires_grad_()
    learner.mac.unroll = lambda _: q_all
    update = learner.compute(batch)
    update.q_tot.sum().backward()
    avail, filled = batch["avail_actions"], batch["filled"]
    n_episodes, n_stored, n_agents = q_all.shape[:3]
    for b in range(n_episodes):
        last = int(filled[b].sum()) - 1  # transitions; the last stored step is only looked at
        for i in range(n_agents):
            for t in range(last):
                if avail[b, t, i, 0] or avail[b, t, i, 1]:
                    continue
                duration = 1
                while t + duration < last and avail[b, t + duration, i, 1]:
                    duration += 1
                assert float(q_all.grad[b, t, i, batch["actions"][b, t, i, 0]]) == duration


@pytest.mark.parametrize("alg", ALGS)
def test_an_end_leaves_the_reward_alone_and_the_loss_has_no_half(alg):
    """Invariant: terminated means y = r. Trap: a factor 1/2 in front of the squared error."""
    batch = play(3)
    update = make_learner(alg, batch).compute(batch)
    ended = (batch["terminated"][:, :-1] != 0)[update.sides.mask]
    assert bool(ended.any()) and not bool(ended.all())
    reward = batch["reward"][:, :-1][update.sides.mask]
    same = update.target.squeeze(1) == reward
    assert torch.equal(same, ended)
    errors = (update.q_tot - update.target).square()
    loss = sum(update.own_losses.values(), errors.sum() / len(errors))
    assert float(update.loss.detach()) == pytest.approx(float(loss.detach()))


@pytest.mark.parametrize("alg", ALGS)
def test_a_few_updates_bring_the_error_down(alg):
    """On one small batch, with targets that stay: the squared error falls to less than half."""
    batch = play(4, n_episodes=2, n_steps=5)
    rates = {name: 0.01 for name in ("lr", "mixer_lr") if load_alg(alg)[name] is not None}
    learner = make_learner(alg, batch, target_update_interval_or_tau=1000, **rates)
    update = learner.compute(batch)
    before = float((update.q_tot - update.target).square().mean().detach())
    for _ in range(60):
        learner.train(batch, 0, 1)
    update = learner.compute(batch)
    assert float((update.q_tot - update.target).square().mean().detach()) < 0.5 * before


def by_hand(reward_end=0.0, terminated=False):
    """One agent, 2 steps: it decides at 0 (action 2), executes at 1 and is observed still executing at 2."""
    avail = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]).view(1, 3, 1, 4)
    end = torch.zeros(1, 3, 1, dtype=torch.uint8)
    end[0, 1] = int(terminated)
    return {
        "obs": torch.zeros(1, 3, 1, 1).double(),
        "state": torch.zeros(1, 3, 1).double(),
        "avail_actions": avail,
        "actions": torch.tensor([2, 1, 1]).view(1, 3, 1, 1),
        "filled": torch.ones(1, 3, 1, dtype=torch.int64),
        "terminated": end,
        "reward": torch.tensor([1.0, 5.0, 0.0]).double().view(1, 3, 1),
    }


LIVE = [[0.0, 0.0, 2.0, 9.0], [0.0, 3.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0]]
TARGET = [[0.0, 0.0, 20.0, 90.0], [0.0, 30.0, 0.0, 0.0], [0.0, 40.0, 0.0, 0.0]]


@pytest.mark.parametrize("terminated, last_target", [(False, 5.0 + 0.5 * (40 + 20)), (True, 5.0)])
def test_vdn_a_by_hand(terminated, last_target):
    """q_tot = Q(continue) + proxy; the target's proxy is the *taken* action at step 0 (20), not the greedy
    one (90).

    Traps: greedy instead of taken target utilities; dropping index 0 of the target unroll; truncation as an
    end.
    """
    batch = by_hand(terminated=terminated)
    learner = make_learner("vdn_a", batch, gamma=0.5)
    learner.mac.unroll = lambda _: torch.tensor(LIVE).double().view(1, 3, 1, 4).requires_grad_()
    learner.target_mac.unroll = lambda _: torch.tensor(TARGET).double().view(1, 3, 1, 4)
    update = learner.compute(batch)
    assert update.q_tot.flatten().tolist() == [2.0, 3.0 + 2.0]
    assert update.target.flatten().tolist() == [1.0 + 0.5 * (30 + 20), last_target]


def test_double_q_lets_the_live_network_choose():
    batch = by_hand()
    batch["avail_actions"][0, 1] = batch["avail_actions"][0, 2] = batch["avail_actions"][0, 0]
    live = torch.tensor([[0.0, 0.0, 1.0, 0.0]] * 3).double().view(1, 3, 1, 4)
    target = torch.tensor([[0.0, 0.0, 10.0, 70.0]] * 3).double().view(1, 3, 1, 4)
    for double_q, expected in ((True, 10.0), (False, 70.0)):
        learner = make_learner("vdn", batch, gamma=1.0, double_q=double_q)
        learner.mac.unroll, learner.target_mac.unroll = (lambda _: live), (lambda _: target)
        assert learner.compute(batch).target.flatten().tolist() == [1.0 + expected, 5.0 + expected]


def test_targets_are_copied_every_so_many_episodes_not_calls():
    """Trap: EPyMARL counts training calls, which differs by batch_size_run."""
    batch = play(0)
    learner = make_learner("mvd", batch, target_update_interval_or_tau=10)
    copied = []
    for episode in (2, 8, 10, 12, 19, 20, 28, 30):
        before = [p.clone() for p in learner.target_mac.parameters()]
        learner.train(batch, 0, episode)
        if not all(torch.equal(a, b) for a, b in zip(before, learner.target_mac.parameters())):
            copied.append(episode)
            assert all(torch.equal(a, b) for a, b in zip(learner.params, [
                *learner.target_mac.parameters(), *learner.target_mixer.parameters()
            ]))
    assert copied == [10, 20, 30]


def test_a_factor_of_at_most_one_moves_the_targets_softly():
    batch = play(0)
    learner = make_learner("qmix", batch, target_update_interval_or_tau=0.25)
    before = [p.detach().clone() for p in learner.target_mixer.parameters()]
    learner.train(batch, 0, 1)
    for old, new, live in zip(before, learner.target_mixer.parameters(), learner.mixer.parameters()):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * live)


def test_the_log_says_team_values_at_its_interval_only():
    batch = play(0)
    learner = make_learner("mvd", batch, learner_log_interval=100)
    update = copy.deepcopy(learner).compute(batch)
    for t_env in (0, 50, 100, 120):
        learner.train(batch, t_env, 1)
    assert sorted({t for _, _, t in learner.logger}) == [0, 100]
    first = {name: value for name, value, t in learner.logger if t == 0}
    assert first["q_taken_mean"] == pytest.approx(float(update.q_tot.detach().mean()))
    assert first["target_mean"] == pytest.approx(float(update.target.mean()))
    assert first["td_error_abs"] == pytest.approx(float((update.q_tot.detach() - update.target).abs().mean()))
    assert {"q_c_min", "q_proxy_std", "q_proxy_std_over_c", "dead_share", "executing_share"} <= set(first)


def test_the_gradient_is_clipped_over_agent_and_mixer_together():
    batch = play(0)
    batch["reward"] *= 1000
    learner = make_learner("qmix", batch, grad_norm_clip=0.5)
    learner.train(batch, 0, 1)
    norm = torch.stack([p.grad.norm() for p in learner.params]).norm()
    assert float(norm) == pytest.approx(0.5, rel=1e-4)
    assert dict((name, value) for name, value, _ in learner.logger)["grad_norm"] > 10


@pytest.mark.parametrize("name", ["reward", "obs", "state"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_nan_stops_training_before_anything_moves(name, value):
    batch = play(0)
    learner = make_learner("mvd", batch)
    before = snapshot(learner)
    batch[name].view(-1)[3] = value
    words = rf"mvd_learner: {name} holds (nan|inf) at index \[0, .*expected finite"
    with pytest.raises(NonFiniteError, match=words) as error:
        learner.train(batch, 0, 1000)
    assert "\n" not in str(error.value)
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(learner)))
    assert learner.training_steps == 0


def test_a_diverged_network_names_the_first_bad_tensor():
    batch = play(0)
    learner = make_learner("mvd", batch)
    with torch.no_grad():
        learner.mac.agent["fc2"].bias.fill_(float("nan"))
    before = snapshot(learner)
    with pytest.raises(NonFiniteError, match="live_utilities holds nan .*Training has diverged"):
        learner.train(batch, 0, 1)
    assert all(torch.equal(a, b) or a.isnan().any() for a, b in zip(before, snapshot(learner)))


def test_large_finite_numbers_are_not_mistaken_for_infinities():
    batch = play(0, dtype=torch.float32)
    batch["state"] = torch.full_like(batch["state"], 3e38)
    with pytest.raises(NonFiniteError, match="(target|q_tot) holds"):  # not: state
        make_learner("qmix", batch, dtype=torch.float32).compute(batch)


def test_reward_may_come_in_equal_columns_only():
    batch = play(0)
    loss, _, _ = loss_and_gradients("mvd", batch)
    columns = batch | {"reward": batch["reward"].expand(-1, -1, 3).clone()}
    assert torch.equal(loss_and_gradients("mvd", columns)[0], loss)
    columns["reward"][0, 0, 1] += 1
    with pytest.raises(ValueError, match="reward has 3 columns that differ.*common_reward=True"):
        make_learner("mvd", columns).compute(columns)


def test_a_batch_without_a_played_step_is_refused():
    batch = {name: torch.zeros_like(x) for name, x in play(0).items()}
    with pytest.raises(ValueError, match="no step of this batch was played"):
        make_learner("vdn", batch).compute(batch)


def test_standardised_rewards_and_returns_are_used():
    batch = play(0)
    plain = float(loss_and_gradients("qmix", batch)[0].detach())
    rewards = make_learner("qmix", batch, standardise_rewards=True)
    assert float(rewards.compute(batch).loss.detach()) != plain
    assert rewards.reward_moments.count > 1
    returns = make_learner("qmix", batch, standardise_returns=True)
    update = returns.compute(batch)
    assert float(update.target.mean()) == pytest.approx(0.0, abs=1e-4)


def test_lambda_zero_equals_one_step():
    batch = play(0)
    one_step = make_learner("mvd", batch).compute(batch)
    by_lambda = make_learner("mvd", batch, td_lambda=0.0).compute(batch)
    torch.testing.assert_close(by_lambda.target, one_step.target)
    longer = make_learner("mvd", batch, td_lambda=0.8).compute(batch)
    assert not torch.allclose(longer.target, one_step.target)


def test_a_controller_that_cannot_unroll_is_refused_by_name():
    args = SimpleNamespace(**configuration("mvd", mac="basic_mac"), n_agents=3)
    with pytest.raises(ValueError, match="mac='basic_mac' cannot unroll.*Set mac=async_mac"):
        ValueLearner(object(), {}, None, args)


def test_every_learner_of_the_table_exists():
    for entry in LEARNERS.values():
        module, _, attribute = entry.partition(":")
        assert callable(getattr(import_module(module), attribute))


# files and resuming


@pytest.mark.parametrize("alg", ["mvd", "vdn", "qmix_a", "qplex", "shaq", "na2q_a"])
def test_models_come_back_as_they_were_saved(alg, tmp_path):
    batch = play(0)
    learner = make_learner(alg, batch)
    for k in range(3):
        learner.train(batch, k, k)
    learner.save_models(tmp_path)
    other = make_learner(alg, batch, seed=9)
    other.mac.load_models = None  # the learner reads and checks the agent's file itself
    other.load_models(tmp_path)
    for a, b in zip(learner.params, other.params):
        assert torch.equal(a, b)
    for a, b in zip(other.params, [*other.target_mac.parameters(), *other.target_mixer.parameters()]):
        assert torch.equal(a, b)
    learner._copy_to_targets()
    other.draws.load_resume_state(learner.draws.resume_state())  # a model's files hold no random states
    for one in (learner, other):
        one.train(batch, 5, 5)
    for a, b in zip(learner.params, other.params):
        assert torch.equal(a, b)  # the optimiser came back too


FOREIGN = {"qmix": {"mixing_embed_dim": 7}, "shaq": {"shaq_embed_dim": 7}}  # sizes of another run


@pytest.mark.parametrize(
    "alg, name",
    [("qmix", "agent.th"), ("qmix", "mixer.th"), ("qmix", "opt.th"), ("shaq", "mixer_opt.th")],
)
@pytest.mark.parametrize("fault, words", [
    ("missing", "not found, expected"),
    ("cut", "cannot be read"),
    ("text", "cannot be read"),
    ("list", "holds a list, expected"),
    ("foreign", "checkpoint is of another|not the state of an optimiser|lacks|holds"),
])
def test_a_bad_model_file_is_one_clear_line_and_changes_nothing(alg, name, fault, words, tmp_path):
    batch = play(0)
    learner = make_learner(alg, batch)
    learner.train(batch, 0, 0)
    learner.save_models(tmp_path)
    path = tmp_path / name
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif fault == "text":
        path.write_text("hello")
    elif fault == "list":
        torch.save([1, 2], path)
    else:
        other = make_learner(alg, batch, hidden_dim=5, **FOREIGN[alg])
        other.train(batch, 0, 0)
        (tmp_path / "other").mkdir()
        other.save_models(tmp_path / "other")
        path.write_bytes((tmp_path / "other" / name).read_bytes())
    fresh = make_learner(alg, batch, seed=9)
    before = snapshot(fresh)
    with pytest.raises(ValueError, match=words) as error:
        fresh.load_models(tmp_path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(fresh)))


@pytest.mark.parametrize("alg", ["mvd", "qatten", "qplex_a", "shaq", "na2q", "na2q_a"])
def test_a_resumed_learner_goes_on_as_if_undisturbed(alg, tmp_path):
    batch = play(0)
    switches = {"standardise_rewards": True, "target_update_interval_or_tau": 3}
    learner = make_learner(alg, batch, **switches)
    for k in range(4):
        learner.train(play(k), k, k)
    torch.save(learner.resume_state(), tmp_path / "resume")
    resumed = make_learner(alg, batch, seed=9, **switches)
    resumed.load_resume_state(torch.load(tmp_path / "resume", weights_only=True))
    for k in range(4, 9):
        for one in (learner, resumed):
            one.train(play(k), k, k)
    for a, b in zip(snapshot(learner), snapshot(resumed)):
        assert torch.equal(a, b)
    assert resumed.logger[-1] == learner.logger[-1]
    assert resumed.training_steps == learner.training_steps


def test_resume_state_is_a_copy():
    batch = play(0)
    learner = make_learner("mvd", batch)
    state = learner.resume_state()
    kept = copy.deepcopy(state)
    learner.train(batch, 0, 1)
    for name, value in kept["mixer"].items():
        assert torch.equal(state["mixer"][name], value)
