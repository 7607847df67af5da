"""Acting with policies: memory through own decisions, draws from the mixture, two runners' ways of asking."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from plugins.config.schema import load_alg
from plugins.controllers.action_selectors import SoftPolicies
from plugins.controllers.policy_mac import PolicyMAC, last_decided
from tests.plugins.tiny import HOST_KEYS, make_actor_critic, play

ALGS = ["ippo", "mac_iaicc"]


def acting(batch, mac, change=None):
    """All logits the networks gave while the stored episodes were acted through, [T1, B, N, A]."""
    seen = []
    select = mac.action_selector.select

    def listening(logits, *rest):
        seen.append(np.array(logits))
        return select(logits, *rest)

    mac.action_selector.select = listening
    n_episodes, n_stored = batch["obs"].shape[:2]
    mac.init_hidden(n_episodes)
    last = np.full(batch["actions"].shape[::2][:2], -1)
    for t in range(n_stored):
        obs, avail = batch["obs"][:, t].numpy(), batch["avail_actions"][:, t].numpy()
        mac.act(obs, avail, last, np.arange(n_episodes), 0, False)
        deciding = (avail[..., 0] == 0) & (avail[..., 1] == 0)
        stored = torch.from_numpy(deciding)
        mac._last_decided = torch.where(stored, batch["actions"][:, t, :, 0], mac._last_decided)
        last = batch["actions"][:, t, :, 0].numpy()
    del mac.action_selector.select
    return torch.from_numpy(np.stack(seen))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("alg", ALGS)
def test_what_is_learned_from_is_what_acted(alg, padded):
    """The learner's logits at decisions are those that the controller acted on."""
    batch = play(2)
    learner = make_actor_critic(alg, batch, padded=padded, obs_last_action=True)
    played = learner.read(batch)
    learned = learner.mac.unroll_at(played.inputs, played.squeeze).detach().transpose(0, 1)
    acted = acting(batch, learner.mac)
    where = played.timeline.learns.transpose(0, 1)
    torch.testing.assert_close(learned[:-1][where], acted[:-1][where], rtol=0, atol=1e-12)


@pytest.mark.parametrize("padded", [False, True])
def test_memory_lives_through_own_decisions_only(padded):
    """Trap: what an executing agent sees must not reach its later decisions; with padding it does."""
    batch = play(2, n_steps=12)
    learner = make_actor_critic("ippo", batch, padded=padded)
    before = acting(batch, learner.mac)
    executing = batch["avail_actions"][..., 1] != 0
    other = dict(batch, obs=batch["obs"] + executing.unsqueeze(3))
    after = acting(other, learner.mac)
    deciding = (batch["filled"] != 0) & ~executing & (batch["avail_actions"][..., 0] == 0)
    where = deciding.transpose(0, 1)
    assert padded != torch.equal(before[where], after[where])


def test_the_last_action_is_that_of_the_last_decision():
    actions = torch.tensor([5, 1, 1, 3, 4, 1]).view(1, 6, 1)
    deciding = torch.tensor([1, 0, 0, 1, 1, 0]).bool().view(1, 6, 1)
    assert last_decided(actions, deciding).flatten().tolist() == [-1, 5, 5, 5, 3, 4]


def test_the_hosts_way_of_asking_gives_the_vector_runners_answers():
    """select_actions for some rows of a stored batch chooses what act chooses for them."""
    batch = play(4, n_episodes=3)
    mac = make_actor_critic("mac_iaicc", batch, obs_last_action=True).mac
    twin = copy.deepcopy(mac)
    mac.init_hidden(3)
    twin.init_hidden(3)
    stored = {name: values.clone() for name, values in batch.items()}
    last = np.full((3, 3), -1)
    for t in range(4):
        rows = [0, 2] if t else [0, 1, 2]
        obs, avail = (batch[name][rows, t].numpy() for name in ("obs", "avail_actions"))
        actions = mac.act(obs, avail, last[rows], np.array(rows), 7, False)
        asked = twin.select_actions(stored, t, 7, bs=rows)
        assert asked.tolist() == actions.tolist()
        last[rows] = actions
        stored["actions"][rows, t, :, 0] = asked
    torch.testing.assert_close(mac.hidden_states, twin.hidden_states, rtol=0, atol=1e-12)


def selector(**changes):
    given = {"start": 0.0, "finish": 0.0, "anneal_time": 10, "greedy_tests": True, "mask_unavailable": True, "seed": 3}
    return SoftPolicies(**given | changes)


@pytest.mark.parametrize("mask_unavailable", [True, False])
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_draws_follow_the_mixture(epsilon, mask_unavailable):
    """Frequencies of 40,000 draws against probabilities worked out here, within four deviations."""
    chooser = selector(start=epsilon, finish=epsilon, mask_unavailable=mask_unavailable)
    logits, avail = np.array([0.0, 3.0, 1.0, -1.0, 2.0]), np.array([0, 0, 1, 1, 1])
    n_counted = 3 if mask_unavailable else 5
    weights = np.exp(logits) * (avail if mask_unavailable else 1)
    mixed = ((1 - epsilon) * weights / weights.sum() + epsilon / n_counted) * avail
    expected = mixed / mixed.sum()
    n = 40_000
    drawn = chooser.select(np.tile(logits, (n, 1, 1)), np.tile(avail, (n, 1, 1)), 0, False).ravel()
    frequency = np.bincount(drawn, minlength=5) / n
    assert frequency[:2].tolist() == [0.0, 0.0]
    assert (np.abs(frequency - expected) <= 4 * np.sqrt(expected * (1 - expected) / n) + 1e-12).all()
    if mask_unavailable:
        log_pi = chooser.log_policy(torch.from_numpy(logits), torch.from_numpy(avail), epsilon)
        np.testing.assert_allclose(log_pi.exp().numpy(), expected, atol=1e-12)


def test_epsilon_falls_while_training_and_tests_are_greedy_and_draw_nothing():
    chooser, twin = (selector(start=1.0, finish=0.2) for _ in range(2))
    logits, avail = np.random.default_rng(0).normal(size=(50, 3, 4)), np.ones((50, 3, 4))
    for one in (chooser, twin):
        one.select(logits, avail, 5, False)
    assert chooser.epsilon == pytest.approx(0.6)
    assert (chooser.select(logits, avail, 9, True) == logits.argmax(-1)).all()
    assert chooser.epsilon == pytest.approx(0.6)  # the loss asks for the one that played
    assert (chooser.select(logits, avail, 9, False) == twin.select(logits, avail, 9, False)).all()
    sampling = selector(start=1.0, finish=1.0, greedy_tests=False)
    drawn = sampling.select(np.zeros((200, 3, 4)), np.ones((200, 3, 4)), 0, True)
    assert set(drawn.ravel()) == {0, 1, 2, 3}


def test_a_row_without_any_available_action_gets_action_0():
    assert selector().select(np.ones((1, 2, 3)), np.array([[[0, 0, 0], [0, 0, 1]]]), 0, False).tolist() == [[0, 2]]


def test_log_policy_has_finite_gradients_at_masked_and_far_apart_logits():
    for epsilon in (0.0, 0.5, 1.0):
        logits = torch.tensor([[800.0, -800.0, 0.0], [0.0, 0.0, 900.0]], dtype=torch.float64, requires_grad=True)
        log_pi = selector().log_policy(logits, torch.tensor([[1, 1, 0], [1, 0, 1]]), epsilon)
        log_pi[[0, 1], [0, 2]].sum().backward()
        assert bool(logits.grad.isfinite().all())


def test_acting_goes_on_as_if_undisturbed_after_a_resume():
    batch = play(0)
    mac, other = (make_actor_critic("mac_iaicc", batch, seed=s).mac for s in (0, 1))
    other.load_state(mac)
    acting(batch, mac)
    other.load_resume_state(copy.deepcopy(mac.resume_state()))
    for one in (mac, other):
        one.init_hidden(4)
    asked = (batch["obs"][:, 0].numpy(), batch["avail_actions"][:, 0].numpy(), np.full((4, 3), -1), np.arange(4))
    assert (mac.act(*asked, 3, False) == other.act(*asked, 3, False)).all()


@pytest.mark.parametrize("key, given, words", [
    ("agent", "rnn_individual", "policy_mac: unknown agent 'rnn_individual'"),
    ("action_selector", "epsilon_greedy", "policy_mac: unknown action_selector 'epsilon_greedy'"),
    ("agent_output_type", "q", "policy_mac: unknown agent_output_type 'q'"),
])  # fmt: skip
def test_what_it_has_not_is_refused_by_name(key, given, words):
    args = SimpleNamespace(**HOST_KEYS | load_alg("ippo") | {key: given}, n_agents=2, n_actions=4)
    with pytest.raises(ValueError, match=words):
        PolicyMAC({"obs": {"vshape": 3}}, {"agents": 2}, args)


def test_it_says_that_it_has_no_utilities():
    with pytest.raises(TypeError, match="Use mac=async_mac"):
        make_actor_critic("ippo", play(0)).mac.unroll(play(0))


@pytest.mark.parametrize("name", ["soft_policies", "epsilon_soft"])
@pytest.mark.parametrize("mask_unavailable", [True, False])
def test_masking_is_a_choice_with_either_selector(name, mask_unavailable):
    epsilons = {"epsilon_start": 0.0, "epsilon_finish": 0.0, "epsilon_anneal_time": 1}
    changes = {"action_selector": name, "mask_unavailable": mask_unavailable} | epsilons
    chooser = make_actor_critic("ippo", play(0), **changes).mac.action_selector
    log_pi = chooser.log_policy(torch.zeros(4), torch.tensor([0, 0, 1, 1]))
    torch.testing.assert_close(log_pi[2:].exp(), torch.full((2,), 0.5 if mask_unavailable else 0.25))
