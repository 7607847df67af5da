"""AVF: what is learned from joint events is what a slow loop over them says, and VDN or QMIX without durations."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from plugins.learners.joint_events import event_rows
from plugins.mixers.base import EMPTY
from tests.plugins.tiny import gradients, make_learner, play

SEEDS = st.integers(0, 10_000)
ALGS = ("avf_vdn", "avf_qmix")
UPDATES = ("D0", "D1", "D2")
STATES = ("joint_macro", "plain")
Batch = dict[str, Tensor]


def with_state(alg: str, state: str) -> dict[str, str]:
    return {"avf_state": state} if alg == "avf_qmix" else {}


def is_deciding(batch: Batch, b: int, t: int, i: int) -> bool:
    return bool(batch["filled"][b, t]) and not bool(batch["avail_actions"][b, t, i, :2].any())


def is_executing(batch: Batch, b: int, t: int, i: int) -> bool:
    return bool(batch["filled"][b, t]) and bool(batch["avail_actions"][b, t, i, 1])


def greedy(q: Tensor, avail: Tensor) -> int:
    return max((int(a) for a in avail.nonzero()), key=lambda a: (float(q[a]), -a))


class Slow:
    """One update by loops: an episode is a list of joint events, each of them a row."""

    def __init__(self, learner: Any, batch: Batch, update: str) -> None:
        self.learner, self.batch, self.update = learner, batch, update
        self.q = learner.mac.unroll(batch)
        self.q_target = learner.target_mac.unroll(batch).detach()
        self.n_agents = batch["obs"].shape[2]

    def rows(self) -> list[tuple[int, int, int]]:
        """(episode, event, next event or end) of every row."""
        found = []
        for b in range(len(self.batch["filled"])):
            last = int(self.batch["filled"][b].sum()) - 1  # index of the last observation
            events = [
                t for t in range(last) if any(is_deciding(self.batch, b, t, i) for i in range(self.n_agents))
            ]
            found += [(b, t, following) for t, following in zip(events, [*events[1:], last])]
        return found

    def decision(self, b: int, t: int, i: int) -> int:
        return max(k for k in range(t + 1) if is_deciding(self.batch, b, k, i))

    def mixed(self, b: int, t: int, is_target: bool) -> Tensor:
        batch, slots, states = self.batch, [], []
        q_all = self.q_target if is_target else self.q
        for i in range(self.n_agents):
            executing = is_executing(batch, b, t, i)
            k = self.decision(b, t, i) if executing else t
            action = int(batch["actions"][b, k, i])
            if is_target and not executing:
                action = greedy(self.q[b, t, i].detach(), batch["avail_actions"][b, t, i])
            value = q_all[b, k, i, action]
            if executing and self.update != "D0":
                value = value.detach() * (1.0 if self.update == "D1" else 0.0)
            slots.append(value)
            states.append(batch["state"][b, k])
        mixer = self.learner.target_mixer if is_target else self.learner.mixer
        state = torch.cat(states) if mixer.joint_macro_state else batch["state"][b, t]
        return mixer.base(torch.stack(slots), state, EMPTY).squeeze()

    def target(self, b: int, t: int, following: int) -> Tensor:
        gamma = self.learner.keys.gamma
        total = sum(gamma**m * self.batch["reward"][b, t + m, 0] for m in range(following - t))
        if bool(self.batch["terminated"][b, following - 1]):
            return torch.as_tensor(total)
        return total + gamma ** (following - t) * self.mixed(b, following, True).detach()

    def compute(self) -> tuple[Tensor, Tensor, Tensor]:
        rows = self.rows()
        values = torch.stack([self.mixed(b, t, False) for b, t, _ in rows])
        targets = torch.stack([self.target(*row) for row in rows])
        return values, targets, (values - targets).square().mean()


@pytest.mark.parametrize("alg", ALGS)
@given(
    seed=SEEDS,
    update=st.sampled_from(UPDATES),
    state=st.sampled_from(STATES),
    longest=st.integers(1, 6),
    n_agents=st.integers(1, 3),
)
def test_an_update_is_the_slow_loop_over_joint_events(
    alg: str, seed: int, update: str, state: str, longest: int, n_agents: int
) -> None:
    """Rewards summed with gamma^m, bootstrap with gamma^tau, maximum only over agents that decide at t'.

    Episodes end, are cut off with actions running, and lose agents while they execute.
    """
    batch = play(seed, n_episodes=2, n_steps=6, n_agents=n_agents, longest=longest)
    learner = make_learner(alg, batch, gamma=0.9, avf_update=update, **with_state(alg, state))
    slow = make_learner(alg, batch, gamma=0.9, avf_update=update, **with_state(alg, state))
    values, targets, loss = Slow(slow, batch, update).compute()
    ours = learner.compute(batch)
    torch.testing.assert_close(ours.q_tot.squeeze(1), values, rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.target.squeeze(1), targets, rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.loss, loss, rtol=1e-10, atol=1e-10)
    ours.loss.backward()
    loss.backward()
    for name, gradient in gradients(slow).items():
        torch.testing.assert_close(gradients(learner)[name], gradient, rtol=1e-8, atol=1e-10)


def with_macro_state(batch: Batch) -> Batch:
    """The state once for each agent: the joint macro-state where nobody executes."""
    return batch | {"state": batch["state"].repeat(1, 1, batch["obs"].shape[2])}


@pytest.mark.parametrize("alg, state", [("avf_vdn", "plain"), ("avf_qmix", "plain"), ("avf_qmix", "joint_macro")])
@given(seed=SEEDS, update=st.sampled_from(UPDATES), td_lambda=st.sampled_from([None, 0.0, 0.6]))
def test_without_durations_it_is_the_base(
    alg: str, state: str, seed: int, update: str, td_lambda: float | None
) -> None:
    """All actions last one step: VDN and QMIX number for number, values, targets, loss and gradients."""
    batch = play(seed, n_episodes=3, n_steps=7, longest=1)
    is_out = (batch["avail_actions"][..., 0] != 0).all(dim=2)
    assume(not bool(is_out.any()))  # a step at which the whole team is dead is no joint event
    learner = make_learner(alg, batch, avf_update=update, td_lambda=td_lambda, **with_state(alg, state))
    base_batch = with_macro_state(batch) if state == "joint_macro" else batch
    base = make_learner(alg.removeprefix("avf_"), base_batch, td_lambda=td_lambda)
    for ours, theirs in ((learner.mac.agent, base.mac.agent), (learner.target_mac.agent, base.target_mac.agent)):
        theirs.load_state_dict(ours.state_dict())
    for ours, theirs in ((learner.mixer, base.mixer), (learner.target_mixer, base.target_mixer)):
        theirs.load_state_dict(ours.base.state_dict())
    one, other = learner.compute(batch), base.compute(base_batch)
    assert torch.equal(one.q_tot, other.q_tot)
    assert torch.equal(one.target, other.target)
    assert torch.equal(one.loss, other.loss)
    one.loss.backward()
    other.loss.backward()
    for name, gradient in gradients(base).items():
        assert torch.equal(gradients(learner)[name], gradient)


def by_hand(last_reward: float, terminated: bool) -> Batch:
    """Two agents, 4 steps. Agent 0 decides at 0 and 3, agent 1 at 0 (for five steps); events are 0 and 3."""
    avail = torch.zeros(1, 5, 2, 4, dtype=torch.int64)
    avail[0, 0, :, 2:] = avail[0, 3, 0, 2:] = 1
    avail[0, 1:, 1, 1] = avail[0, [1, 2, 4], 0, 1] = 1
    actions = torch.ones(1, 5, 2, 1, dtype=torch.int64)
    actions[0, 0, :, 0] = torch.tensor([2, 3])
    actions[0, 3, 0, 0] = 3
    end = torch.zeros(1, 5, 1, dtype=torch.uint8)
    end[0, 3] = int(terminated)
    return {
        "obs": torch.zeros(1, 5, 2, 1).double(),
        "state": torch.zeros(1, 5, 1).double(),
        "avail_actions": avail,
        "actions": actions,
        "filled": torch.ones(1, 5, 1, dtype=torch.int64),
        "terminated": end,
        "reward": torch.tensor([1.0, 2.0, 4.0, last_reward, 0.0]).double().view(1, 5, 1),
    }


@pytest.mark.parametrize("terminated, last", [(False, 8.0 + 0.5 * (3330.0 + 31.0)), (True, 8.0)])
def test_two_events_by_hand(terminated: bool, last: float) -> None:
    """Utility of agent i at t for a: live t + 10 i + a / 10, target 1000 t + 10 i + 110 a.

    y(0) = 1 + 2 / 2 + 4 / 4 + (the target at 3: agent 0's best, a = 3, and agent 1's action 3 of step 0) / 8.
    y(3) = 8 + (agent 0's action 3 of step 3, agent 1's of step 0) / 2, though both execute at the last observation.
    """
    batch = by_hand(8.0, terminated)
    learner = make_learner("avf_vdn", batch, gamma=0.5)
    t, i, a = (torch.arange(n).double() for n in (5, 2, 4))
    live = t.view(5, 1, 1) + 10 * i.view(2, 1) + a / 10
    target = 1000 * t.view(5, 1, 1) + 10 * i.view(2, 1) + torch.tensor([0, 0, 0, 330.0]).double()
    target[0, 1, 3] = 31.0
    learner.mac.unroll = lambda _: live.unsqueeze(0)
    learner.target_mac.unroll = lambda _: target.unsqueeze(0)
    update = learner.compute(batch)
    assert update.q_tot.flatten().tolist() == pytest.approx([0.2 + 10.3, 3.3 + 10.3])
    assert update.target.flatten().tolist() == pytest.approx([3.0 + (3330.0 + 31.0) / 8, last])


def test_lambda_counts_events_and_gamma_steps() -> None:
    """Two events: G(3) is the one-step target, and lambda = 1 puts it in the place of the value at 3."""
    batch = by_hand(8.0, terminated=True)
    learner = make_learner("avf_vdn", batch, gamma=0.5, td_lambda=1.0)
    assert learner.compute(batch).target.flatten().tolist() == pytest.approx([1.0 + 1.0 + 1.0 + 8.0 / 8, 8.0])


@pytest.mark.parametrize("alg", ALGS)
@given(seed=SEEDS, n_extra=st.integers(1, 4))
def test_steps_that_were_never_played_change_nothing(alg: str, seed: int, n_extra: int) -> None:
    batch = play(seed, n_episodes=2, n_steps=5)
    longer = {
        name: torch.cat([x, torch.zeros_like(x[:, :1]).repeat_interleave(n_extra, 1)], 1)
        for name, x in batch.items()
    }
    one, other = (make_learner(alg, each).compute(each) for each in (batch, longer))
    torch.testing.assert_close(one.loss, other.loss, rtol=0, atol=1e-12)
    torch.testing.assert_close(one.target, other.target, rtol=0, atol=1e-12)


def test_an_executing_agent_learns_counts_or_neither() -> None:
    """Event 3 of the episode above: agent 1 executes what it decided at 0."""
    seen = {}
    for update in UPDATES:
        batch = by_hand(8.0, terminated=True)
        learner = make_learner("avf_vdn", batch, avf_update=update)
        q = torch.ones(1, 5, 2, 4).double().requires_grad_()
        learner.mac.unroll = lambda _, q=q: q
        q_tot = learner.compute(batch).q_tot
        q_tot.sum().backward()
        seen[update] = (q_tot.flatten().tolist(), float(q.grad[0, 0, 1, 3]))
    assert seen == {"D0": ([2.0, 2.0], 2.0), "D1": ([2.0, 2.0], 1.0), "D2": ([2.0, 1.0], 1.0)}


def test_what_was_played_before_the_first_event_is_in_no_row() -> None:
    """Nobody decides at 0 and 1, somebody at 2 and 4 of 5 transitions."""
    played = torch.tensor([1, 1, 1, 1, 1, 0]).bool().view(1, 6, 1)
    rows = event_rows(played, torch.tensor([0, 0, 1, 0, 1, 0, 0]).bool().view(1, 7, 1))
    assert rows.mask.flatten().tolist() == [False, False, True, False, True, False]
    assert rows.closing.flatten().tolist() == [False, False, False, True, True, False]


def test_a_batch_without_an_event_is_refused() -> None:
    batch = by_hand(8.0, terminated=True)
    batch["avail_actions"] = torch.zeros_like(batch["avail_actions"])
    batch["avail_actions"][..., 0] = 1
    with pytest.raises(ValueError, match="avf_vdn_learner: nobody decided anything"):
        make_learner("avf_vdn", batch).compute(batch)
