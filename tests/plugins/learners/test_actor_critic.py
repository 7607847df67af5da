"""What every actor-critic learner does: trains on fresh episodes, refuses, saves, resumes."""

import copy
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.learners.checks import NonFiniteError
from tests.plugins.learners.test_timeline import padded_batch
from tests.plugins.tiny import ACTOR_CRITICS, Log, configuration, make_actor_critic, play

ALGS = sorted(ACTOR_CRITICS)
OTHER_SIZES = {"acac": {"critic_heads": 1}, "ippo": {}, "mac_iaicc": {"critic_hidden_dim": 5}}
SEEDS = st.integers(0, 10_000)


def snapshot(learner):
    return [p.detach().clone() for module in learner._modules().values() for p in module.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other))


@pytest.mark.parametrize("alg", ALGS)
def test_every_parameter_moves_and_the_log_is_finite(alg):
    batch = play(0, dtype=torch.float32)
    learner = make_actor_critic(alg, batch, dtype=torch.float32)
    learner.mac.action_selector.epsilon = 0.3
    before = [p.detach().clone() for p in learner.params]
    learner.train(batch, t_env=5, episode_num=0)
    assert all(not torch.equal(a, b) for a, b in zip(before, learner.params))
    logged = {name: value for name, value, _ in learner.logger}
    assert {"actor_loss", "critic_loss", "actor_grad_norm", "critic_grad_norm", "entropy"} <= set(logged)
    assert all(torch.isfinite(torch.tensor(value)) for value in logged.values())


@pytest.mark.parametrize("alg", ALGS)
@given(seed=SEEDS)
def test_steps_that_were_never_played_change_nothing(alg, seed):
    """Invariant 11: a whole update, networks compared after it."""
    batch = play(seed, n_episodes=2, n_steps=5)
    ends = []
    for each in (batch, padded_batch(batch)):
        learner = make_actor_critic(alg, batch, epochs=2)
        learner.train(each, 0, 0)
        ends.append(snapshot(learner))
    for ours, more in zip(*ends):
        torch.testing.assert_close(more, ours, rtol=0, atol=1e-9)


@pytest.mark.parametrize("alg", ALGS)
@given(seed=SEEDS)
def test_what_executing_agents_did_and_saw_changes_nothing(alg, seed):
    """Trap: nothing of an agent at other steps than its decisions is used (rewards are the team's)."""
    batch = play(seed, n_episodes=2, n_steps=6)
    status = (batch["avail_actions"][..., 0] != 0) | (batch["avail_actions"][..., 1] != 0)
    last = torch.zeros_like(status)
    for b, n_stored in enumerate(batch["filled"].sum((1, 2)).tolist()):
        last[b, n_stored - 1] = True  # the last observation of a cut episode is looked at
    quiet = status & ~last
    other = dict(batch)
    other["obs"] = batch["obs"] + 3.0 * quiet.unsqueeze(3)
    other["actions"] = torch.where(quiet.unsqueeze(3), 5 - batch["actions"], batch["actions"])
    ends = []
    for each in (batch, other):
        learner = make_actor_critic(alg, batch, obs_last_action=True, epochs=2)
        learner.train(each, 0, 0)
        ends.append(snapshot(learner))
    assert same(*ends)


@pytest.mark.parametrize("alg", ALGS)
def test_each_episode_is_learned_from_once(alg):
    """Four episodes a batch, rollouts of two, asked three times a rollout: it waits until all are new."""
    batch = play(0)
    learner = make_actor_critic(alg, batch, batch_size_run=2)
    taught = []
    for episode in range(2, 20, 2):
        for extra in (0, 0, 1):
            before = learner.training_steps
            learner.train(batch, 10 * episode, episode + extra)
            if learner.training_steps > before:
                taught.append(episode + extra)
    assert taught == [2, 6, 10, 14, 18]


@pytest.mark.parametrize("changes, words", [
    ({"buffer_size": 5}, "batch_size=4 and buffer_size=5 differ.*Set buffer_size=4"),
    ({"batch_size_run": 3}, "no multiple of batch_size_run=3.*Set batch_size and buffer_size to 3"),
    ({"batch_size_run": 8}, "no multiple of batch_size_run=8.*Set batch_size and buffer_size to 8"),
    ({"open_actions": "forget"}, "open_actions='forget' is not accepted"),
])  # fmt: skip
@pytest.mark.parametrize("alg", ALGS)
def test_what_it_cannot_learn_from_is_refused_at_the_start(alg, changes, words):
    with pytest.raises(ValueError, match=words) as error:
        make_actor_critic(alg, play(0), **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("alg", ALGS)
def test_a_controller_without_policies_is_refused_by_name(alg):
    args = SimpleNamespace(**configuration(alg, mac="async_mac"), n_agents=3, n_actions=6)
    with pytest.raises(ValueError, match="mac='async_mac' has no policies.*Set mac=policy_mac"):
        ACTOR_CRITICS[alg](object(), {}, Log(), args)


@pytest.mark.parametrize("name", ["reward", "obs"])
@pytest.mark.parametrize("alg", ALGS)
def test_a_nan_stops_training_before_anything_moves(alg, name):
    batch = play(0)
    learner = make_actor_critic(alg, batch)
    batch[name][1, 1] = float("nan")
    before = snapshot(learner)
    with pytest.raises(NonFiniteError, match=name):
        learner.train(batch, 0, 0)
    assert same(before, snapshot(learner))


@pytest.mark.parametrize("alg", ALGS)
def test_a_batch_in_which_nobody_decides_is_refused(alg):
    batch = play(0)
    learner = make_actor_critic(alg, batch)
    batch["avail_actions"].zero_()[..., 1] = 1
    with pytest.raises(ValueError, match="nobody decided anything"):
        learner.train(batch, 0, 0)


@pytest.mark.parametrize("alg", ALGS)
def test_gradients_are_clipped_each_for_itself_and_null_clips_nothing(alg):
    """One plain SGD step of rate 1 moves an optimiser's parameters by at most the clip."""
    batch = play(1)
    for clip in (0.001, None):
        learner = make_actor_critic(alg, batch, grad_norm_clip=clip)
        for name, module in (("agent", learner.mac.agent), ("critic", learner.critic)):
            learner.optimisers[name] = torch.optim.SGD(module.parameters(), lr=1.0)
            before = [p.detach().clone() for p in module.parameters()]
            loss = 1000.0 * sum(p.sum() for p in module.parameters())
            norm = learner._descend(name, loss)
            step = sum(float((a - b).square().sum()) for a, b in zip(before, module.parameters())) ** 0.5
            assert step == pytest.approx(norm if clip is None else clip, rel=1e-3)


# files and resuming


@pytest.mark.parametrize("alg", ALGS)
def test_models_come_back_as_they_were_saved(alg, tmp_path):
    batch = play(0)
    learner = make_actor_critic(alg, batch)
    for k in range(3):
        learner.train(batch, k, 4 * k)
    learner.save_models(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "agent.th", "agent_opt.th", "critic.th", "critic_opt.th"
    ]  # fmt: skip
    other = make_actor_critic(alg, batch, seed=9)
    other.load_models(tmp_path)
    learner._after_load()  # a model's files hold no target critics
    learner.return_moments = copy.deepcopy(other.return_moments)  # nor running means
    assert same(snapshot(learner), snapshot(other))
    for one in (learner, other):
        one.train(batch, 20, 20)
    assert same(snapshot(learner), snapshot(other))  # the optimisers came back too


@pytest.mark.parametrize("name", ["agent.th", "critic.th", "agent_opt.th", "critic_opt.th"])
@pytest.mark.parametrize("fault", ["missing", "text", "foreign"])
@pytest.mark.parametrize("alg", ALGS)
def test_a_bad_model_file_is_one_clear_line_and_changes_nothing(alg, fault, name, tmp_path):
    batch = play(0)
    learner = make_actor_critic(alg, batch)
    learner.train(batch, 0, 0)
    learner.save_models(tmp_path)
    path = tmp_path / name
    if fault == "missing":
        path.unlink()
    elif fault == "text":
        path.write_text("hello")
    else:
        other = make_actor_critic(alg, batch, hidden_dim=5, **OTHER_SIZES[alg])
        other.train(batch, 0, 0)
        (tmp_path / "other").mkdir()
        other.save_models(tmp_path / "other")
        path.write_bytes((tmp_path / "other" / name).read_bytes())
    fresh = make_actor_critic(alg, batch, seed=9)
    before = snapshot(fresh)
    with pytest.raises(ValueError) as error:
        fresh.load_models(tmp_path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert same(before, snapshot(fresh))


@pytest.mark.parametrize("alg", ALGS)
def test_a_resumed_learner_goes_on_as_if_undisturbed(alg, tmp_path):
    batch = play(0)
    often = {"target_update_interval_or_tau": 8}
    learner = make_actor_critic(alg, batch, **often)
    for k in range(3):
        learner.train(play(k), k, 4 * k)
    torch.save(learner.resume_state(), tmp_path / "resume")
    resumed = make_actor_critic(alg, batch, seed=9, **often)
    resumed.load_resume_state(torch.load(tmp_path / "resume", weights_only=True))
    assert same(snapshot(learner), snapshot(resumed))
    for episode in (10, 12, 16, 28, 44, 48):
        for one in (learner, resumed):
            one.train(play(episode), episode, episode)
    assert same(snapshot(learner), snapshot(resumed))
    assert resumed.logger[-1] == learner.logger[-1]
    assert resumed.training_steps == learner.training_steps == 3 + 5


@pytest.mark.parametrize("alg", ALGS)
def test_resume_state_is_a_copy_and_a_foreign_one_is_refused(alg):
    batch = play(0)
    learner = make_actor_critic(alg, batch)
    state = learner.resume_state()
    kept = copy.deepcopy(state)
    learner.train(batch, 0, 0)
    assert all(torch.equal(state["critic"][name], value) for name, value in kept["critic"].items())
    other = make_actor_critic(alg, batch, hidden_dim=5, **OTHER_SIZES[alg])
    with pytest.raises(ValueError, match="resumed agent.*of shape"):
        other.load_resume_state(state)
