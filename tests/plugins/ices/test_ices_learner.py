"""The whole learner: what it leaves alone, what it saves, and that resuming is as if nothing had happened."""

import copy

import pytest
import torch

from plugins.config.schema import load_alg
from plugins.learners import value_learner
from plugins.learners.value_learner import ValueLearner
from tests.plugins.tiny import make_learner, play

OWN_FILES = {"explorer.th", "explorer_value.th", "world.th", "ices_opt.th"}


def everything(learner):
    """All parameters, by name."""
    modules = {
        "agent": learner.mac.agent, "mixer": learner.mixer, "target": learner.target_mac.agent,
        "target_mixer": learner.target_mixer, **learner._modules(),
    }  # fmt: skip
    return {f"{k}.{name}": p.detach().clone() for k, m in modules.items() for name, p in m.named_parameters()}


def differing(before, after):
    """Modules of which some parameter differs."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_one_update_moves_everything_but_the_targets():
    batch = play(0)
    learner = make_learner("ices", batch)
    before = everything(learner)
    learner.train(batch, 0, 1)
    after = everything(learner)
    assert differing(before, after) == {"agent", "mixer", "explorer", "explorer_value", "world"}
    still = [name for name in before if name.split(".")[0] in ("explorer", "explorer_value")]
    assert not [name for name in still if torch.equal(before[name], after[name])]


def test_values_are_learnt_as_if_nobody_explored():
    """Nothing intrinsic in the Q loss: the same update as QMIX's with the same settings, number for number."""
    batch = play(1)
    learner = make_learner("ices", batch)
    plain = make_learner("qmix", batch, fused=True, lr=0.001, td_lambda=0.6, grad_norm_clip=20)
    for part in ("agent", "mixer"):
        of = (lambda each: each.mac.agent) if part == "agent" else (lambda each: each.mixer)
        target = (lambda each: each.target_mac.agent) if part == "agent" else (lambda each: each.target_mixer)
        of(plain).load_state_dict(of(learner).state_dict())
        target(plain).load_state_dict(target(learner).state_dict())
    for k in range(3):
        learner.train(batch, 0, k)
        plain.train(batch, 0, k)
    for ours, theirs in ((learner.mac.agent, plain.mac.agent), (learner.mixer, plain.mixer)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("clip, is_same", [(60, True), (30, False)])
def test_the_references_half_loss_is_ours_with_twice_the_clip(clip, is_same, monkeypatch):
    """Trap: the factor 1/2 of pymarl2. Adam's steps do not feel it (but for its eps), so the rate stays; clipping does,
    so the largest norm doubles. Of two updates the first one's gradient is clipped (norm 4039), the second's is
    not (27)."""
    batch, small = play(1), play(2)
    batch["reward"] *= 1000

    def agent_after(factor, most):
        monkeypatch.setattr(value_learner, "squared_error", lambda q, y: factor * (q - y).square().mean())
        learner = make_learner("ices", batch, grad_norm_clip=most)
        for k, each in enumerate((batch, small)):
            learner.train(each, 0, k)
        return torch.cat([p.detach().flatten() for p in learner.mac.agent.parameters()])

    difference = float((agent_after(1.0, clip) - agent_after(0.5, 30)).abs().max())
    assert (difference < 1e-6) == is_same


def test_exploring_never_moves_the_gradients_of_the_q_networks_nor_the_other_way_round():
    batch = play(0)
    learner = make_learner("ices", batch)
    q_networks = [*learner.mac.agent.parameters(), *learner.mixer.parameters()]
    own = [p for module in learner._modules().values() for p in module.parameters()]
    ValueLearner.train(learner, batch, 0, 1)
    assert all(p.grad is None for p in own)
    gradients = [p.grad.clone() for p in q_networks]
    before = [p.detach().clone() for p in q_networks]
    learner.exploration.step(batch)
    learner.world.step("global", batch, 0)
    learner.world.step("local", batch, 0)
    assert all(torch.equal(p.grad, kept) for p, kept in zip(q_networks, gradients))
    assert all(torch.equal(p, kept) for p, kept in zip(q_networks, before))
    assert {id(p) for p in learner.params} == {id(p) for p in q_networks}


def test_the_policy_loss_stops_at_the_value_and_at_the_world():
    batch = play(0)
    learner = make_learner("ices", batch)
    losses = learner.exploration.compute(batch)
    losses.policy.backward()
    parts = learner._modules()
    assert all(p.grad is None or not bool(p.grad.any()) for p in parts["explorer_value"].parameters())
    assert all(p.grad is None for p in parts["world"].parameters())
    assert all(bool(p.grad.any()) for p in parts["explorer"].parameters())


def test_a_step_penalty_is_paid_in_every_step_by_values_only():
    batch = play(2)
    learner, dear = (make_learner("ices", batch, step_penalty=cost) for cost in (0.0, -0.02))
    costlier = dict(batch, reward=batch["reward"] - 0.02)
    assert torch.equal(dear.compute(batch).target, learner.compute(costlier).target)
    assert not torch.equal(dear.compute(batch).target, learner.compute(batch).target)
    assert torch.equal(dear.exploration.compute(batch).reward, learner.exploration.compute(batch).reward)


def test_the_world_model_has_samples_of_its_own_where_the_host_gives_them():
    batch, fresh = play(0), [play(seed) for seed in (1, 2)]
    learner, asked = make_learner("ices", batch), []
    step = learner.world.step

    def watched(view, sample, t_env):
        asked.append((view, sample))
        return step(view, sample, t_env)

    learner.world.step = watched
    learner.train(batch, 0, 1)
    assert [(view, sample is batch) for view, sample in asked] == [("global", True), ("local", True)]
    asked.clear()
    handed = list(fresh)
    learner.use_sampler(lambda: handed.pop(0))
    learner.train(batch, 0, 2)
    assert [sample is other for (_, sample), other in zip(asked, fresh)] == [True, True]
    assert handed == []


def test_everything_is_logged():
    batch = play(0)
    learner = make_learner("ices", batch)
    learner.train(batch, 0, 1)
    logged = {name: value for name, value, _ in learner.logger}
    own = {
        "explorer_loss", "explorer_value_loss", "explorer_entropy", "explorer_share", "intrinsic_reward_mean",
        "intrinsic_reward_std", "world_baseline_global", "world_elbo_global", "world_baseline_local",
        "world_elbo_local",
    }  # fmt: skip
    assert own <= set(logged) and all(torch.isfinite(torch.tensor(value)) for value in logged.values())
    assert logged["explorer_share"] == 0.1


def test_a_resumed_learner_goes_on_as_if_undisturbed(tmp_path):
    """Networks, optimisers, statistics and random numbers; through a file that holds nothing but plain things."""
    batches = [play(seed) for seed in range(4)]
    learner = make_learner("ices", batches[0], ices_world_transitions=6, target_update_interval_or_tau=2)
    other = make_learner("ices", batches[0], seed=9, ices_world_transitions=6, target_update_interval_or_tau=2)
    for k in (0, 1):
        learner.train(batches[k], 10 * k, k)
    torch.save(learner.resume_state(), tmp_path / "state.pt")
    other.load_resume_state(torch.load(tmp_path / "state.pt", weights_only=True))
    for k in (2, 3):
        learner.train(batches[k], 10 * k, k)
        other.train(batches[k], 10 * k, k)
    assert differing(everything(learner), everything(other)) == set()
    assert [each for each in learner.logger if each[2] >= 20] == list(other.logger)


def test_a_state_is_a_copy():
    batch = play(0)
    learner = make_learner("ices", batch)
    state = learner.resume_state()
    kept = copy.deepcopy(state)
    learner.train(batch, 0, 1)
    for name in ("explorer", "explorer_value", "world"):
        assert all(torch.equal(state[name][key], kept[name][key]) for key in kept[name])
    assert state["world_training"]["moments"]["count"] == kept["world_training"]["moments"]["count"] == 0


def test_saved_models_are_loaded_whole(tmp_path):
    batch = play(0)
    learner, other = make_learner("ices", batch), make_learner("ices", batch, seed=9)
    learner.train(batch, 0, 1)
    learner.save_models(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == OWN_FILES | {"agent.th", "mixer.th", "opt.th"}
    other.load_models(tmp_path)
    assert differing(everything(learner), everything(other)) <= {"target", "target_mixer"}
    for name, optimiser in learner._optimisers().items():
        theirs = other._optimisers()[name].state_dict()["state"]
        for index, entry in optimiser.state_dict()["state"].items():
            assert all(torch.equal(entry[key], theirs[index][key]) for key in entry)
    for a, b in zip(other.target_mac.explorer.parameters(), other.mac.explorer.parameters()):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", sorted(OWN_FILES))
@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_bad_file_is_named_and_nothing_changes(name, damage, tmp_path):
    batch = play(0)
    learner = make_learner("ices", batch)
    learner.train(batch, 0, 1)
    learner.save_models(tmp_path)
    file = tmp_path / name
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    else:
        wide = make_learner("ices", batch, hidden_dim=9, ices_world_hidden_dim=9)
        wide.train(batch, 0, 1)
        (tmp_path / "wide").mkdir()
        wide.save_models(tmp_path / "wide")
        file.write_bytes((tmp_path / "wide" / name).read_bytes())
    other = make_learner("ices", batch, seed=9)
    before = everything(other)
    with pytest.raises(ValueError) as error:
        other.load_models(tmp_path)
    assert name in str(error.value) and "\n" not in str(error.value)
    assert differing(before, everything(other)) == set()


def test_a_controller_that_cannot_explore_is_refused():
    with pytest.raises(ValueError) as error:
        make_learner("ices", play(0), fused=True, mac="async_mac")
    assert str(error.value) == (
        "ices_learner: mac='async_mac' has no exploration policy, expected 'ices_mac'. Set mac=ices_mac."
    )


def test_a_reward_that_is_no_number_stops_before_anything_moves():
    batch = play(0)
    learner = make_learner("ices", batch)
    before = everything(learner)
    batch["state"][0, 1, 0] = float("nan")
    with pytest.raises(ValueError, match="state holds nan"):
        learner.train(batch, 0, 1)
    assert differing(before, everything(learner)) == set()


def test_any_mixer_can_be_explored_for():
    ices = load_alg("ices")
    own = {key: ices[key] for key in ices if key.startswith("ices") or key in ("learner", "mac", "step_penalty")}
    batch = play(0)
    learner = make_learner("mvd", batch, **own)
    before = everything(learner)
    learner.train(batch, 0, 1)
    assert differing(before, everything(learner)) == {"agent", "mixer", "explorer", "explorer_value", "world"}
