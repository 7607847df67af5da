"""What own decisions earned, on the full timeline, against walking through the episodes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugins.learners.timeline import gae, n_step_returns, read_timeline
from plugins.vsp.indices import read_status
from tests.plugins.learners import own_decisions
from tests.plugins.parity import assert_recorded, over
from tests.plugins.tiny import play

GAMMA = 0.9
SEEDS = st.integers(0, 10_000)


def timeline_of(batch, gamma=GAMMA, padded=False, drop_open=False):
    status = read_status(batch["avail_actions"], batch["filled"])
    return read_timeline(
        status, batch["filled"], batch["terminated"][:, :-1], batch["reward"][:, :-1], gamma,
        padded=padded, drop_open=drop_open,
    )  # fmt: skip


def random_values(batch, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = batch["avail_actions"].shape[:3]
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def padded_batch(batch, n_extra=3):
    return {
        name: torch.cat([x, torch.zeros_like(x[:, :1]).repeat_interleave(n_extra, 1)], 1)
        for name, x in batch.items()
    }


def each_agent(batch):
    n_episodes, _, n_agents = batch["avail_actions"].shape[:3]
    return [(b, i) for b in range(n_episodes) for i in range(n_agents)]


@given(seed=SEEDS, padded=st.booleans(), drop_open=st.booleans())
def test_the_timeline_agrees_with_a_walk(seed, padded, drop_open):
    """Deaths while executing, ends with actions running, terminations and truncations."""
    batch = play(seed)
    timeline = timeline_of(batch, padded=padded, drop_open=drop_open)
    for b, i in each_agent(batch):
        found = own_decisions.decisions(batch, b, i, GAMMA, padded, drop_open)
        assert timeline.learns[b, :, i].nonzero().flatten().tolist() == [each.t for each in found]
        for each in found:
            assert float(timeline.reward[b, each.t, i]) == pytest.approx(each.reward, abs=1e-12)
            assert int(timeline.duration[b, each.t, i]) == each.duration
            assert bool(timeline.goes_on[b, each.t, i]) == (each.next_t is not None)
            if each.next_t is not None:
                assert int(timeline.next_t[b, each.t, i]) == each.next_t


@given(seed=SEEDS, padded=st.booleans(), drop_open=st.booleans(), gae_lambda=st.sampled_from([0.0, 0.6, 1.0]))
def test_advantages_agree_with_a_walk(seed, padded, drop_open, gae_lambda):
    batch = play(seed)
    values = random_values(batch, seed)
    ours = gae(timeline_of(batch, padded=padded, drop_open=drop_open), values, GAMMA, gae_lambda)
    for b, i in each_agent(batch):
        found = own_decisions.decisions(batch, b, i, GAMMA, padded, drop_open)
        expected = torch.zeros_like(ours[b, :, i])
        if found:
            expected[[each.t for each in found]] = torch.tensor(
                own_decisions.gae(found, values[b, :, i], GAMMA, gae_lambda), dtype=torch.float64
            )
        torch.testing.assert_close(ours[b, :, i], expected, rtol=0, atol=1e-12)


@given(seed=SEEDS, padded=st.booleans(), drop_open=st.booleans(), n=st.integers(1, 7))
def test_returns_over_n_decisions_agree_with_a_walk(seed, padded, drop_open, n):
    batch = play(seed)
    values = random_values(batch, seed)
    ours = n_step_returns(timeline_of(batch, padded=padded, drop_open=drop_open), values, GAMMA, n)
    for b, i in each_agent(batch):
        found = own_decisions.decisions(batch, b, i, GAMMA, padded, drop_open)
        expected = torch.zeros_like(ours[b, :, i])
        if found:
            expected[[each.t for each in found]] = torch.tensor(
                own_decisions.n_step(found, values[b, :, i], GAMMA, n), dtype=torch.float64
            )
        torch.testing.assert_close(ours[b, :, i], expected, rtol=0, atol=1e-12)


@given(seed=SEEDS, n=st.integers(1, 7), gae_lambda=st.sampled_from([0.0, 0.6, 1.0]))
def test_without_durations_they_are_the_ordinary_ones(seed, n, gae_lambda):
    """All durations 1 and nobody dies: GAE and n-step returns of one step after the other, by the textbook."""
    batch = play(seed, longest=1)
    batch["avail_actions"][..., 0] = 0  # the dead are alive again, and decide
    values = random_values(batch, seed)
    timeline = timeline_of(batch)
    advantages = gae(timeline, values, GAMMA, gae_lambda)
    returns = n_step_returns(timeline, values, GAMMA, n)
    for b, i in each_agent(batch):
        end = own_decisions.length(batch, b)
        v = values[b, : end + 1, i].clone()
        if not own_decisions.is_cut(batch, b):
            v[end] = 0.0
        r, later = batch["reward"][b, :, 0], 0.0
        for t in reversed(range(end)):
            later = float(r[t] + GAMMA * v[t + 1] - v[t]) + GAMMA * gae_lambda * later
            assert float(advantages[b, t, i]) == pytest.approx(later, abs=1e-12)
            until = min(t + n, end)
            plain = sum(GAMMA ** (s - t) * float(r[s]) for s in range(t, until))
            plain += GAMMA ** (until - t) * float(v[until])
            assert float(returns[b, t, i]) == pytest.approx(plain, abs=1e-12)


def by_hand(terminated):
    """One agent, 6 steps, gamma 0.5: decides at 0 (2 steps), 2 (1 step), 3 (runs on beyond the end).

        step    0  1  2  3  4  5 | last observation
        status  D  E  D  D  E  E | E
        reward  1  2  4  8  0 16
    """
    avail = torch.zeros(1, 7, 1, 4, dtype=torch.int64)
    for t, who in enumerate("DEDDEEE"):
        avail[0, t, 0, 1 if who == "E" else 2] = 1
    batch = {
        "avail_actions": avail,
        "filled": torch.ones(1, 7, 1, dtype=torch.int64),
        "terminated": torch.zeros(1, 7, 1, dtype=torch.uint8),
        "reward": torch.tensor([1.0, 2, 4, 8, 0, 16, 0]).double().view(1, 7, 1),
    }
    batch["terminated"][0, 5] = int(terminated)
    return batch


@pytest.mark.parametrize("terminated, drop_open, last", [
    (True, False, 8 + 0.25 * 16), (False, False, 8 + 0.25 * 16 + 0.125 * 80),
    (True, True, None), (False, True, None),
])  # fmt: skip
def test_worked_numbers(terminated, drop_open, last):
    """Terminated: closed with what it earned, no value. Cut: the value of the last observation, 80, after 3 steps."""
    batch = by_hand(terminated)
    timeline = timeline_of(batch, gamma=0.5, drop_open=drop_open)
    values = torch.tensor([0.0, -1e9, 20, 40, -1e9, -1e9, 80]).double().view(1, 7, 1)
    one_step = n_step_returns(timeline, values, 0.5, 1)[0, :, 0].tolist()
    # decision 0: 1 + 2/2, then a quarter of 20; decision 2: 4, then half of 40
    assert one_step == [7.0, 0.0, 24.0, 0.0 if last is None else last, 0.0, 0.0]
    two_steps = n_step_returns(timeline, values, 0.5, 2)[0, :, 0].tolist()
    third = 40.0 if last is None else last  # what stays of decision 3 is its value
    assert two_steps == [2 + 0.25 * 4 + 0.125 * 40, 0.0, 4 + 0.5 * third, 0.0 if last is None else last, 0.0, 0.0]
    advantage = gae(timeline, values, 0.5, 0.5)[0, :, 0].tolist()
    a3 = 0.0 if last is None else last - 40
    a2 = 24.0 - 20 + 0.5 * 0.5 * a3  # lambda once for one decision, gamma for its step
    assert advantage == [7.0 + 0.25 * 0.5 * a2, 0.0, a2, a3, 0.0, 0.0]


@pytest.mark.parametrize("n", [1, 2, 5, 50])
def test_an_end_is_not_bootstrapped_however_long_the_window(n):
    """Trap: with zero rewards and V = 7, EPyMARL's PPOLearner.nstep_returns gives 7 where an episode terminated."""
    batch = play(3, n_episodes=8)
    batch["reward"].zero_()
    values = torch.full(batch["avail_actions"].shape[:3], 7.0, dtype=torch.float64)
    timeline = timeline_of(batch, gamma=1.0)
    returns, advantages = n_step_returns(timeline, values, 1.0, n), gae(timeline, values, 1.0, 1.0)
    terminated = False
    for b, i in each_agent(batch):
        found = own_decisions.decisions(batch, b, i, 1.0)
        for k, each in enumerate(found):
            ended = not own_decisions.is_cut(batch, b)
            terminated |= ended
            assert float(returns[b, each.t, i]) == (0.0 if ended and k + n >= len(found) else 7.0)
            assert float(advantages[b, each.t, i]) == (-7.0 if ended else 0.0)
    assert terminated


@given(seed=SEEDS)
def test_steps_that_were_never_played_change_nothing(seed):
    batch = play(seed)
    n_steps = batch["reward"].shape[1] - 1
    more = timeline_of(padded_batch(batch))
    for name, short in timeline_of(batch)._asdict().items():
        long = getattr(more, name)
        kept = short.shape[1]
        if name in ("reward", "learns", "looks"):
            assert torch.equal(long[:, :kept], short) and not bool(long[:, kept:].any()), name
        else:
            assert torch.equal(long[:, :n_steps][more.learns[:, :n_steps]], short[more.learns[:, :n_steps]]), name


@over("mac_returns")
def test_returns_parity(case):
    """The reference's squeezed decisions laid on a timeline: ours are its returns."""
    n = max(1, case.meta["n_step_TD"])
    duration, t_end, lengths = (case[f"in.{name}"].long() for name in ("duration", "t_end", "length"))
    n_episodes, n_decisions = duration.shape
    n_steps = int(t_end.max()) + 1
    batch = {
        "avail_actions": torch.zeros(n_episodes, n_steps + 1, 1, 3, dtype=torch.int64),
        "filled": torch.zeros(n_episodes, n_steps + 1, 1, dtype=torch.int64),
        "terminated": torch.zeros(n_episodes, n_steps + 1, 1, dtype=torch.uint8),
        "reward": torch.zeros(n_episodes, n_steps + 1, 1, dtype=torch.float64),
    }
    values = torch.zeros(n_episodes, n_steps + 1, 1, dtype=torch.float64)
    rows = []
    for b in range(n_episodes):
        end = int(t_end[b, lengths[b] - 1]) + 1
        batch["filled"][b, : end + 1] = 1
        batch["avail_actions"][b, : end + 1, 0, 1] = 1
        for k in range(int(lengths[b])):
            start = int(t_end[b, k] - duration[b, k]) + 1
            batch["avail_actions"][b, start, 0] = torch.tensor([0, 0, 1])
            batch["reward"][b, start, 0] = case["in.reward"][b, k, 0]
            values[b, start + int(duration[b, k]), 0] = case["in.bootstrap"][b, k, 0]
            rows.append((b, k, start))
        batch["avail_actions"][b, end, 0] = torch.tensor([0, 0, 1])
        batch["terminated"][b, end - 1, 0] = int(case["in.terminate"][b, lengths[b] - 1, 0])
    returns = n_step_returns(timeline_of(batch, case.meta["gamma"]), values, case.meta["gamma"], n)
    squeezed = torch.zeros(n_episodes, n_decisions, 1, dtype=torch.float64)
    for b, k, start in rows:
        squeezed[b, k, 0] = returns[b, start, 0]
    assert_recorded(case, "out.returns", squeezed)
