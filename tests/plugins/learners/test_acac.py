"""The ACAC-style learner: encodings in each agent's own time, advantages over joint events, by plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.learners import own_decisions
from tests.plugins.learners.test_ippo import gated_with, log_softmax, moved
from tests.plugins.tiny import make_actor_critic, play

SEEDS = st.integers(0, 10_000)


def looking(batch, b, t):
    """Agents that look at step t of episode b."""
    end = own_decisions.length(batch, b)
    n_agents = batch["obs"].shape[2]
    if t == end:
        return list(range(n_agents)) if own_decisions.is_cut(batch, b) else []
    return [i for i in range(n_agents) if own_decisions.status(batch, b, t, i) == "deciding"]


def plain_values(learner, critic, batch):
    """[B, T+1] by stepping every agent's encoder when it looks and joining the latest at joint events."""
    n_episodes, n_stored, n_agents = batch["avail_actions"].shape[:3]
    values = torch.zeros(n_episodes, n_stored, dtype=torch.float64)
    one = torch.eye(6, dtype=torch.float64)
    for b in range(n_episodes):
        hidden = [torch.zeros(1, 8, dtype=torch.float64) for _ in range(n_agents)]
        latest = [torch.zeros(8, dtype=torch.float64) for _ in range(n_agents)]
        last = [torch.zeros(6, dtype=torch.float64) for _ in range(n_agents)]
        for t in range(own_decisions.length(batch, b) + 1):
            for i in looking(batch, b, t):
                time = torch.tensor([math.sin(t), math.cos(t)], dtype=torch.float64)
                x = torch.cat([batch["obs"][b, t, i], last[i], torch.eye(n_agents, dtype=torch.float64)[i], time])
                encoded, hidden[i] = critic.encoder(x.unsqueeze(0), hidden[i])
                latest[i] = encoded[0]
                if own_decisions.status(batch, b, t, i) == "deciding":
                    last[i] = one[batch["actions"][b, t, i, 0]]
            if looking(batch, b, t):
                tokens = torch.stack(latest).unsqueeze(0)
                values[b, t] = critic.value(critic.attention(tokens, tokens, tokens)[0][0].mean(0)).item()
    return values


@given(seed=SEEDS, longest=st.sampled_from([1, 4]))
def test_losses_agree_with_plain_loops(longest, seed):
    batch = play(seed, n_episodes=3, n_steps=6, longest=longest)
    switches = {"standardise_returns": False, "entropy_coef": 0.3, "eps_clip": 0.1}
    learner = make_actor_critic("acac", batch, seed, **switches)
    learner.mac.action_selector.epsilon = epsilon = 0.4
    played = learner.read(batch)
    with torch.no_grad():
        targets = learner.targets(played)
    old = moved(learner, seed)
    losses = learner.losses(played, targets)

    keys = learner.keys
    values = [plain_values(learner, critic, batch) for critic in (old[1], learner.critic)]
    looks, deciding = played.timeline.looks, played.status.deciding
    logits = [gated_with(learner, batch, looks, deciding, agent) for agent in (old[0], learner.mac.agent)]
    rows, errors = [], []
    for b in range(3):
        end, events = own_decisions.length(batch, b), []
        at = [t for t in range(end) if looking(batch, b, t)]
        for k, t in enumerate(at):
            until = at[k + 1] if k + 1 < len(at) else end
            reward = sum(keys.gamma**m * float(batch["reward"][b, t + m, 0]) for m in range(until - t))
            has_value = until < end or own_decisions.is_cut(batch, b)
            events.append(own_decisions.Decision(t, reward, until - t, until if has_value else None))
        advantages = own_decisions.gae(events, values[0][b], keys.gamma, keys.gae_lambda)
        for each, advantage in zip(events, advantages):
            errors.append((advantage + float(values[0][b, each.t]) - float(values[1][b, each.t])) ** 2)
            for i in looking(batch, b, each.t):
                place = (b, each.t, i)
                avail, action = batch["avail_actions"][place], int(batch["actions"][place])
                n, terms = int(avail.sum()), []
                for each_logits in logits:
                    p = [math.exp(log_softmax(each_logits[place], avail, a)[0]) if avail[a] else 0 for a in range(6)]
                    mixed = [(1 - epsilon) * x + epsilon / n if avail[a] else 0 for a, x in enumerate(p)]
                    terms.append((mixed[action], -sum(x * math.log(x) for x in mixed if x)))
                rows.append((advantage, terms[1][0] / terms[0][0], terms[1][1]))
    mean = sum(row[0] for row in rows) / len(rows)
    deviation = (sum((row[0] - mean) ** 2 for row in rows) / len(rows)) ** 0.5
    actor = 0.0
    for advantage, ratio, entropy in rows:
        normal = (advantage - mean) / (deviation + 1e-8)
        bounded = min(max(ratio, 1 - keys.eps_clip), 1 + keys.eps_clip)
        actor -= min(ratio * normal, bounded * normal) + keys.entropy_coef * entropy
    assert float(losses.actor.detach()) == pytest.approx(actor / len(rows), abs=1e-10)
    assert float(losses.critic.detach()) == pytest.approx(sum(errors) / len(errors), abs=1e-10)


def test_the_value_sees_every_agents_history_but_not_what_it_saw_while_executing():
    batch = play(2, n_steps=12)
    learner = make_actor_critic("acac", batch)
    played = learner.read(batch)
    before = learner.values(played)
    assert before.shape[2] == 1
    quiet = ~played.timeline.looks.unsqueeze(3)
    other = learner.read(dict(batch, obs=batch["obs"] + 5 * quiet))
    assert torch.equal(before, learner.values(other))
    first = dict(batch, obs=batch["obs"].clone())
    first["obs"][:, 0, 2] += 1.0
    after = learner.values(learner.read(first))
    assert bool((after[:, 0] != before[:, 0]).all())
