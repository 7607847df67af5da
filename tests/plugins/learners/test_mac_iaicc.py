"""MAC-IAICC: networks as recorded, critics in their own time, losses against plain loops, every switch."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.agents.macro import IndividualActors, IndividualCritics, MacroNet
from plugins.controllers.action_selectors import SoftPolicies
from tests.plugins.agents.test_squeeze import gated
from tests.plugins.learners import own_decisions
from tests.plugins.parity import assert_recorded, over
from tests.plugins.tiny import make_actor_critic, play

SEEDS = st.integers(0, 10_000)


@over("mac_nets")
def test_networks_parity(case):
    actor = MacroNet(case.meta["obs_dim"], 32, 32, case.meta["n_actions"]).double()
    actor.load_state_dict(case.state_dict("param.actor."))
    logits = actor(case["in.obs"])
    avail = torch.ones_like(logits)
    chooser = SoftPolicies(
        start=0.0, finish=0.0, anneal_time=1, greedy_tests=True, mask_unavailable=True, seed=0
    )
    for name, epsilon in (("greedy", 0.0), ("epsmid", case.meta["eps_mid"]), ("epshi", case.meta["eps_hi"])):
        assert_recorded(case, f"out.actor_logp_{name}", chooser.log_policy(logits, avail, epsilon))
    critic = MacroNet(case["in.joint_obs"].shape[2], 128, 64, 1).double()
    critic.load_state_dict(case.state_dict("param.critic."))
    assert_recorded(case, "out.critic_value", critic(case["in.joint_obs"]))


def test_nothing_is_shared_and_the_sizes_are_the_references():
    learner = make_actor_critic("mac_iaicc", play(0), hidden_dim=32, critic_width=128, critic_hidden_dim=64)
    assert isinstance(learner.mac.agent, IndividualActors) and isinstance(learner.critic, IndividualCritics)
    actor, critic = learner.mac.agent.nets[0], learner.critic.nets[0]
    assert [actor.fc1.weight.shape, actor.gru.weight_hh_l0.shape] == [(32, 5), (96, 32)]
    assert [critic.fc1.weight.shape, critic.fc2.weight.shape] == [(128, 15), (128, 128)]
    assert [critic.gru.weight_ih_l0.shape, critic.fc3.weight.shape] == [(192, 128), (64, 64)]
    pointers = [parameter.data_ptr() for parameter in learner.params]
    assert len(set(pointers)) == len(pointers)
    assert all(not bool(net.fc1.bias.any()) for net in learner.critic.nets)


def test_an_agents_step_is_its_sequence():
    batch = play(3)
    learner = make_actor_critic("mac_iaicc", batch)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    whole = learner.mac.agent.unroll_rows(x, torch.full((2, 3), 4))
    hidden = torch.zeros(6, 8, dtype=torch.float64)
    for k in range(4):
        logits, hidden = learner.mac.agent(x[:, k].reshape(6, 5), hidden)
        torch.testing.assert_close(logits.view(2, 3, -1), whole[:, k], rtol=0, atol=1e-12)


def plain_values(learner, critic, batch, held=True):
    """Values by stepping every critic at joint events, [B, T+1, N]; 0 elsewhere."""
    n_episodes, n_stored, n_agents = batch["avail_actions"].shape[:3]
    values = torch.zeros(n_episodes, n_stored, n_agents, dtype=torch.float64)
    for b in range(n_episodes):
        end = own_decisions.length(batch, b)
        seen = [batch["obs"][b, 0, i] for i in range(n_agents)]
        last = [torch.zeros(6, dtype=torch.float64) for _ in range(n_agents)]
        states = [torch.zeros(1, learner.keys.critic_hidden_dim, dtype=torch.float64) for _ in range(n_agents)]
        for t in range(end + 1):
            is_end = t == end
            if is_end and not own_decisions.is_cut(batch, b):
                break
            who = [i for i in range(n_agents) if is_end or own_decisions.status(batch, b, t, i) == "deciding"]
            for i in range(n_agents):
                if i in who or not held:
                    seen[i] = batch["obs"][b, t, i]
            if who:
                parts = [[seen[i], last[i]] if learner.keys.obs_last_action else [seen[i]] for i in range(n_agents)]
                joint = torch.cat([each for part in parts for each in part]).unsqueeze(0)
                for i in range(n_agents):
                    value, states[i] = critic.nets[i].step(joint, states[i])
                    values[b, t, i] = value.item()
            for i in who:
                if own_decisions.status(batch, b, t, i) == "deciding":
                    last[i] = torch.eye(6, dtype=torch.float64)[batch["actions"][b, t, i, 0]]
    return values


@given(seed=SEEDS, observations=st.sampled_from(["held", "fresh"]), obs_last_action=st.booleans())
def test_critics_are_stepped_at_joint_events(observations, obs_last_action, seed):
    batch = play(seed, n_episodes=2, n_steps=6)
    switches = {"observations": observations, "obs_last_action": obs_last_action}
    learner = make_actor_critic("mac_iaicc", batch, seed, **switches)
    ours = learner.values(learner.critic, learner.joint_events(learner.read(batch)))
    expected = plain_values(learner, learner.critic, batch, observations == "held")
    torch.testing.assert_close(ours.detach(), expected, rtol=0, atol=1e-12)


def test_what_others_do_between_joint_events_is_not_seen():
    """Trap: a step at which nobody decides must not move the critics."""
    batch = play(2, n_episodes=6, n_steps=12, longest=6)
    learner = make_actor_critic("mac_iaicc", batch, observations="fresh")
    played = learner.read(batch)
    events = learner.values(learner.critic, learner.joint_events(played))
    quiet = ~played.timeline.looks.any(2)
    assert bool((quiet & (batch["filled"][..., 0] != 0)).any())
    other = dict(batch, obs=batch["obs"] + 5 * quiet[..., None, None])
    assert torch.equal(events, learner.values(learner.critic, learner.joint_events(learner.read(other))))


def plain_losses(learner, batch, returns_of, advantage_of, epsilon):
    """(actor loss, critic loss) by loops over agents and their decisions."""
    keys = learner.keys
    played = learner.read(batch)
    logits = gated(learner.mac, batch, played.timeline.looks, played.status.deciding).detach()
    actor = critic = 0.0
    n_episodes, _, n_agents, n_actions = logits.shape
    for i in range(n_agents):
        errors, gains = [], []
        for b in range(n_episodes):
            found = own_decisions.decisions(batch, b, i, keys.gamma, False, keys.open_actions == "drop")
            for each, g in zip(found, returns_of(b, i, found)):
                at = (b, each.t, i)
                error, advantage = g - returns_of.value[at].item(), g - advantage_of[at].item()
                allowed = batch["avail_actions"][at] != 0
                if not learner.mac.action_selector.mask_unavailable:
                    allowed = torch.ones(n_actions).bool()
                weights = logits[at].exp() * allowed
                mixed = (1 - epsilon) * weights / weights.sum() + epsilon * allowed.double() / int(allowed.sum())
                entropy = -sum(float(p) * math.log(p) for p in mixed if p > 0)
                weight = keys.gamma ** (each.t + each.duration - 1) if keys.discount_by_end else 1.0
                taken = math.log(mixed[int(batch["actions"][at])])
                errors.append(error**2)
                gains.append(-weight * (advantage * taken + keys.entropy_coef * entropy))
        if errors:
            actor += sum(gains) / len(gains)
            critic += sum(errors) / len(errors)
    return actor, critic


class Returns:
    """Plain n-step returns on given target values; `value` is what the live critic says."""

    def __init__(self, keys, target, value):
        self.keys, self.target, self.value = keys, target, value

    def __call__(self, b, i, found):
        return own_decisions.n_step(found, self.target[b, :, i], self.keys.gamma, self.keys.q_nstep)


SWITCHES = {
    "as it stands": {},
    "the reference's": {"open_actions": "drop", "mask_unavailable": False, "discount_by_end": True},
    "entropy": {"entropy_coef": 0.2, "q_nstep": 2},
    "entropy, weighted too": {"entropy_coef": 0.2, "discount_by_end": True},
}


@pytest.mark.parametrize("switches", SWITCHES)
@given(seed=SEEDS, longest=st.sampled_from([1, 4]))
def test_losses_agree_with_plain_loops(switches, longest, seed):
    """The epsilon-soft mixture is in the loss; longest 1 is the ordinary n-step actor-critic."""
    batch = play(seed, n_episodes=3, n_steps=6, longest=longest)
    learner = make_actor_critic("mac_iaicc", batch, seed, **SWITCHES[switches])
    learner.mac.action_selector.epsilon = epsilon = 0.4
    with torch.no_grad():
        for parameter in learner.target_critic.parameters():
            parameter.add_(0.1)
    target = plain_values(learner, learner.target_critic, batch)
    before = plain_values(learner, learner.critic, batch)
    heard = []
    descend = learner._descend

    def listening(name, loss):
        heard.append((name, float(loss.detach())))
        return descend(name, loss)

    learner._descend = listening
    actor = {name: value.clone() for name, value in learner.mac.agent.state_dict().items()}
    learner.update(learner.read(batch), 0)
    after = plain_values(learner, learner.critic, batch)  # the critic that moved gives the advantage
    learner.mac.agent.load_state_dict(actor)
    expected = plain_losses(learner, batch, Returns(learner.keys, target, before), after, epsilon)
    assert [name for name, _ in heard] == ["critic", "agent"]
    assert heard[0][1] == pytest.approx(expected[1], abs=1e-10)
    assert heard[1][1] == pytest.approx(expected[0], abs=1e-10)


def test_target_critics_are_copied_every_so_many_episodes():
    batch = play(0)
    learner = make_actor_critic("mac_iaicc", batch, target_update_interval_or_tau=8)
    moved = []
    for episode in range(0, 24, 4):
        before = [p.clone() for p in learner.target_critic.parameters()]
        learner.train(batch, episode, episode)
        after = list(learner.target_critic.parameters())
        moved.append(not all(torch.equal(a, b) for a, b in zip(before, after)))
        if moved[-1]:
            assert all(torch.equal(a, b) for a, b in zip(after, learner.critic.parameters()))
    assert moved == [False, False, True, False, True, False]


def test_a_factor_of_at_most_one_moves_them_softly():
    batch = play(0)
    learner = make_actor_critic("mac_iaicc", batch, target_update_interval_or_tau=0.25)
    before = [p.clone() for p in learner.target_critic.parameters()]
    learner.train(batch, 0, 0)
    for old, new, live in zip(before, learner.target_critic.parameters(), learner.critic.parameters()):
        torch.testing.assert_close(new, old + 0.25 * (live - old), rtol=0, atol=1e-12)
