"""The exploration policy's losses: by slow loop, at decisions only, blind to what was never played."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from plugins.ices.exploration import counted_pairs, log_policy, policy_loss, value_loss
from plugins.vsp.indices import CONTINUE, NOOP
from tests.plugins.tiny import make_learner, play

SEEDS = st.integers(0, 10_000)
RAW = {"ices_mask": "none", "ices_mask_unavailable": False}


def longer(batch, n_extra=3):
    """The same episodes with steps behind their end that were never played."""
    return {
        name: torch.cat([x, torch.zeros_like(x[:, :1]).repeat_interleave(n_extra, 1)], 1)
        for name, x in batch.items()
    }


def stepped(network, batch, b, i, t_end):
    """A network's outputs for agent `i` at steps 0 … t_end of episode `b`, one step at a time."""
    n_agents, n_actions = batch["avail_actions"].shape[2:]
    hidden, outputs = torch.zeros(1, network.hidden_dim).double(), []
    for t in range(t_end + 1):
        last = torch.zeros(n_actions).double()
        if t > 0:
            last = one_hot(batch["actions"][b, t - 1, i, 0], n_actions).double()
        who = one_hot(torch.tensor(i), n_agents).double()
        seen = torch.cat([batch["obs"][b, t, i], batch["state"][b, t], last, who])
        output, hidden = network(seen.unsqueeze(0), hidden)
        outputs.append(output[0])
    return outputs


def by_loop(learner, batch, mask, mask_unavailable, weight):
    """(policy loss, value loss, rewards by (b, t, i)) with Python loops over episodes, agents and steps."""
    actions, avail = batch["actions"][..., 0], batch["avail_actions"]
    explorer, value_net = learner.mac.explorer, learner.exploration.value
    gains, errors, rewards = [], [], {}
    for b in range(len(actions)):
        last = int(batch["filled"][b].sum()) - 1
        for i in range(actions.shape[2]):
            logits, values = (stepped(net, batch, b, i, last) for net in (explorer, value_net))
            for t in range(last):
                if mask == "decisions" and (avail[b, t, i, NOOP] or avail[b, t, i, CONTINUE]):
                    continue
                open_to = [a for a in range(avail.shape[3]) if avail[b, t, i, a] or not mask_unavailable]
                weights = {a: math.exp(float(logits[t][a].detach())) for a in open_to}
                total = sum(weights.values())
                entropy = -sum(w / total * math.log(w / total) for w in weights.values())
                reward = learner.world.model.intrinsic_reward(
                    batch["state"][b, t : t + 1], actions[b, t : t + 1], torch.tensor([0]), torch.tensor([i])
                )
                reward, value = float(reward), float(values[t][0].detach())
                taken = math.log(weights[int(actions[b, t, i])] / total)
                gains.append((reward - value) * taken + weight * entropy)
                errors.append((value - reward) ** 2)
                rewards[b, t, i] = reward
    return -sum(gains) / len(gains), sum(errors) / len(errors), rewards


@pytest.mark.parametrize("mask, mask_unavailable", [("decisions", True), ("decisions", False), ("none", False)])
@given(seed=SEEDS)
def test_losses_are_those_of_a_slow_loop(mask, mask_unavailable, seed):
    batch = play(seed, n_episodes=2, n_steps=5)
    changes = {"ices_mask": mask, "ices_mask_unavailable": mask_unavailable, "ices_entropy": 0.3}
    learner = make_learner("ices", batch, **changes)
    losses = learner.exploration.compute(batch)
    policy, value, rewards = by_loop(learner, batch, mask, mask_unavailable, 0.3)
    assert float(losses.policy.detach()) == pytest.approx(policy, abs=1e-10)
    assert float(losses.value.detach()) == pytest.approx(value, abs=1e-10)
    assert losses.reward.tolist() == pytest.approx([rewards[key] for key in sorted(rewards)], abs=1e-12)


def test_the_gradient_is_that_of_the_log_probability_times_the_advantage():
    """By hand, two actions at logits (0, 0): d/dlogits of -(r - V) log nu(0) is -(r - V) (1/2, -1/2); the value
    gets no gradient from it, and at equal logits the entropy is flat."""
    logits = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    value = torch.tensor([0.1], dtype=torch.float64, requires_grad=True)
    reward = torch.tensor([0.7], dtype=torch.float64)
    log_nu, entropy = log_policy(logits, None)
    policy_loss(log_nu[:, 0], entropy, reward, value, 5.0).backward()
    assert logits.grad.tolist()[0] == pytest.approx([-0.3, 0.3])
    assert value.grad is None
    assert float(entropy.detach()) == pytest.approx(math.log(2))
    value_loss(value, reward).backward()
    assert float(value.grad) == pytest.approx(2 * (0.1 - 0.7))


def test_what_is_not_available_gets_no_probability_and_no_gradient():
    """Trap: the reference normalises over all actions; then a closed one is taught about, too."""
    logits = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    log_nu, entropy = log_policy(logits, torch.tensor([[1, 1, 0]]))
    (log_nu[:, 0] + entropy).sum().backward()
    odds = math.exp(0.5) / (math.exp(0.5) + math.exp(-1.0))
    assert float(log_nu[0, 0].detach()) == pytest.approx(math.log(odds))
    assert float(logits.grad[0, 2]) == 0.0 and float(logits.grad[0, 0]) != 0.0
    other = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    log_policy(other, None)[0][:, 0].sum().backward()
    assert float(other.grad[0, 2]) < 0.0


def only_one_choice(batch):
    """Every agent has one action at every step, and executes from step 1 on."""
    batch = {name: x.clone() for name, x in batch.items()}
    batch["avail_actions"].zero_()
    batch["avail_actions"][:, 0, :, 2] = 1
    batch["avail_actions"][:, 1:, :, CONTINUE] = 1
    batch["avail_actions"] *= batch["filled"].unsqueeze(-1)
    batch["actions"][:, 0], batch["actions"][:, 1:] = 2, CONTINUE
    return batch


@pytest.mark.parametrize("options, is_taught", [({}, False), (RAW, True), ({"ices_mask": "none"}, False)])
def test_a_forced_action_teaches_nothing_unless_asked_to(options, is_taught):
    """Who can only do one thing explores nothing. Counterexample kept: the reference's padded version is rewarded
    for `continue` and moves its logit; with `ices_mask: none` alone, log nu = 0 saves the policy but not the value."""
    batch = only_one_choice(play(0))
    learner = make_learner("ices", batch, **options)
    losses = learner.exploration.compute(batch)
    losses.policy.backward()
    grad = learner.mac.explorer.fc2.bias.grad
    assert (float(grad.abs().max()) > 1e-6) == is_taught
    assert (float(grad[CONTINUE].abs()) > 1e-6) == is_taught
    n_played = int(counted_pairs(batch, "none", "test").sum())
    assert len(losses.reward) == (n_played if options else learner.mac.n_agents * len(batch["obs"]))


@given(seed=SEEDS)
def test_only_decisions_are_rewarded(seed):
    """Changing every number at forced slots (their actions hidden from themselves) changes no counted pair."""
    batch = play(seed)
    pairs = counted_pairs(batch, "decisions", "test")
    avail, filled = batch["avail_actions"][:, :-1], batch["filled"]
    forced = (avail[..., NOOP] != 0) | (avail[..., CONTINUE] != 0)
    assert not bool((pairs & forced).any())
    played = ((filled[:, :-1] != 0) & (filled[:, 1:] != 0)).expand_as(forced)
    assert torch.equal(pairs, played & ~forced)
    assert torch.equal(counted_pairs(batch, "none", "test"), played)


def test_a_batch_in_which_nobody_decides_is_one_line():
    batch = play(0)
    batch["avail_actions"].zero_()[..., CONTINUE] = 1
    with pytest.raises(ValueError, match="^ices: nobody decided anything in a batch of shape"):
        counted_pairs(batch, "decisions", "ices")


@pytest.mark.parametrize("options", [{}, RAW])
@given(seed=SEEDS)
def test_steps_that_were_never_played_change_no_loss(options, seed):
    """Trap: rows behind the end allow nothing, which without `filled` reads as deciding."""
    batch = play(seed)
    learner = make_learner("ices", batch, **options)
    short, long = (learner.exploration.compute(each) for each in (batch, longer(batch)))
    torch.testing.assert_close(long.policy, short.policy, rtol=0, atol=1e-12)
    torch.testing.assert_close(long.value, short.value, rtol=0, atol=1e-12)
    assert torch.equal(long.reward, short.reward)


def test_policy_and_value_learn_what_pays():
    """World model pinned: the reward is a function of the action; the policy comes to prefer the best one."""
    batch = play(1, n_episodes=24, n_steps=4, longest=1)
    learner = make_learner("ices", batch, ices_entropy=0.01)
    exploration = learner.exploration

    def pay(each, cells, agents):
        action = each["actions"].flatten(0, 1)[cells, agents].squeeze(-1)
        return (action == 2).double()

    exploration._reward = pay
    before = exploration.compute(batch)
    for _ in range(60):
        exploration.step(batch)
    after = exploration.compute(batch)
    assert float(after.value.detach()) < 0.7 * float(before.value.detach())
    inputs, packing = learner.mac.explorer_inputs(batch)
    logits, _ = learner.mac.explorer.unroll(inputs, packing, False)
    pairs = counted_pairs(batch, "decisions", "test").nonzero(as_tuple=True)
    logits = logits.view(*batch["avail_actions"].shape)[pairs]
    several = batch["avail_actions"][pairs].sum(-1) > 1
    assert float(log_policy(logits, batch["avail_actions"][pairs])[0][several, 2].exp().mean()) > 0.6
