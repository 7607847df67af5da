"""IPPO: one epoch's losses against plain loops, on own decisions and on every step."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.learners.actor_critic import policy_terms
from tests.plugins.agents.test_squeeze import gated
from tests.plugins.learners import own_decisions
from tests.plugins.tiny import make_actor_critic, play

SEEDS = st.integers(0, 10_000)


def log_softmax(logits, avail, action):
    """log of the softmax over available actions, and its entropy, by plain sums."""
    weights = [math.exp(float(x)) if ok else 0.0 for x, ok in zip(logits, avail)]
    probabilities = [weight / sum(weights) for weight in weights]
    entropy = -sum(p * math.log(p) for p in probabilities if p > 0)
    return math.log(probabilities[action]), entropy


def plain_losses(learner, batch, old, padded=False):
    """(actor loss, critic loss) by loops; `old` are the parameters that played."""
    keys = learner.keys
    played = learner.read(batch)
    looks, deciding = played.timeline.looks, played.status.deciding | padded
    value = [gated_critic(learner, batch, looks, deciding, critic) for critic in (old[1], learner.critic)]
    logits = [gated_with(learner, batch, looks, deciding, agent) for agent in (old[0], learner.mac.agent)]
    rows = []
    n_episodes, _, n_agents = looks.shape
    for b in range(n_episodes):
        for i in range(n_agents):
            found = own_decisions.decisions(batch, b, i, keys.gamma, padded)
            advantages = own_decisions.gae(found, value[0][b, :, i], keys.gamma, keys.gae_lambda)
            for each, advantage in zip(found, advantages):
                at = (b, each.t, i)
                asked = (batch["avail_actions"][at], int(batch["actions"][at]))
                before, _ = log_softmax(logits[0][at], *asked)
                now, entropy = log_softmax(logits[1][at], *asked)
                returns = advantage + float(value[0][at])
                rows.append((advantage, math.exp(now - before), entropy, (returns - float(value[1][at])) ** 2))
    mean = sum(row[0] for row in rows) / len(rows)
    deviation = (sum((row[0] - mean) ** 2 for row in rows) / len(rows)) ** 0.5
    actor = 0.0
    for advantage, ratio, entropy, _ in rows:
        normal = (advantage - mean) / (deviation + 1e-8)
        bounded = min(max(ratio, 1 - keys.eps_clip), 1 + keys.eps_clip)
        actor -= min(ratio * normal, bounded * normal) + keys.entropy_coef * entropy
    return actor / len(rows), sum(row[3] for row in rows) / len(rows)


def gated_with(learner, batch, looks, deciding, agent):
    live, learner.mac.agent = learner.mac.agent, agent
    try:
        return gated(learner.mac, batch, looks, deciding).detach()
    finally:
        learner.mac.agent = live


def gated_critic(learner, batch, looks, deciding, critic):
    return gated_with(learner, batch, looks, deciding, critic)[..., 0]


def moved(learner, seed):
    """The networks as they were, and the learner's moved a little: a later epoch."""
    import copy

    old = copy.deepcopy(learner.mac.agent), copy.deepcopy(learner.critic)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in learner.params:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return old


@pytest.mark.parametrize("padded, longest", [(False, 4), (False, 1), (True, 4)])
@given(seed=SEEDS)
def test_losses_agree_with_plain_loops(padded, longest, seed):
    """Own decisions; all durations 1, where they are ordinary PPO's; padded, where every step counts."""
    batch = play(seed, n_episodes=3, n_steps=6, longest=longest)
    switches = {"padded": padded, "standardise_returns": False, "orthogonal_init": False, "entropy_coef": 0.3}
    learner = make_actor_critic("ippo", batch, seed, **switches)
    played = learner.read(batch)
    with torch.no_grad():
        targets = learner.targets(played)
    old = moved(learner, seed)
    losses = learner.losses(played, targets)
    actor, critic = plain_losses(learner, batch, old, padded)
    assert float(losses.actor.detach()) == pytest.approx(actor, abs=1e-10)
    assert float(losses.critic.detach()) == pytest.approx(critic, abs=1e-10)


@given(seed=SEEDS)
def test_padded_forced_actions_teach_the_critic_only(seed):
    """Ratio 1 and entropy 0 whatever the logits, so no gradient reaches the actor from forced steps."""
    batch = play(seed, n_episodes=2, n_steps=6)
    learner = make_actor_critic("ippo", batch, padded=True, entropy_coef=0.3)
    played = learner.read(batch)
    assert torch.equal(played.timeline.duration[played.timeline.learns], played.timeline.duration.new_ones(()).expand(
        int(played.timeline.learns.sum())))
    log_pi, actions = learner.policies(played)
    forced = (batch["avail_actions"][:, :-1][played.timeline.learns] != 0).sum(1) == 1
    taken, entropy = policy_terms(log_pi, actions)
    assert not bool(taken[forced].any()) and not bool(entropy[forced].any())
    assert int(played.timeline.learns.sum()) == 3 * sum(own_decisions.length(batch, b) for b in range(2))


def test_value_normalisation_is_undone_before_advantages():
    """A critic that gives (V - mean) / deviation has the advantages of one that gives V."""
    batch = play(5)
    learner = make_actor_critic("ippo", batch, standardise_returns=True)
    learner.return_moments.mean, learner.return_moments.var, learner.return_moments.count = 3.0, 4.0, 1e12
    played = learner.read(batch)
    targets = learner.targets(played)
    plain = make_actor_critic("ippo", batch, standardise_returns=False)
    plain.values = lambda some: (learner.values(some) * 2.0 + 3.0) * some.timeline.looks
    expected = plain.targets(plain.read(batch))
    torch.testing.assert_close(targets.advantage, expected.advantage, rtol=0, atol=1e-6)
    torch.testing.assert_close(targets.value * 2.0 + 3.0, expected.value, rtol=0, atol=1e-6)


def test_epochs_use_the_ratio_to_the_policy_that_played():
    """Where epochs would each begin anew, nothing would ever be clipped."""
    batch = play(6)
    learner = make_actor_critic("ippo", batch, epochs=12, lr=0.05)
    learner.train(batch, 0, 0)
    assert dict((name, value) for name, value, _ in learner.logger)["clipped"] > 0.1
