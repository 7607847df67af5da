"""Invariants 4, 5, 7, 8, 11 for whole updates of every algorithm they apply to, and that resuming changes nothing.

Letters: B episodes, T transitions, N agents.
"""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.plugins.invariants.subjects import (
    ALGS,
    FEW,
    OWN_DECISIONS,
    SEEDS,
    VALUE,
    WITH_PROXIES,
    Batch,
    build,
    equal,
    last_observation,
    padded,
    parameters,
    trained,
    widened,
)
from tests.plugins.tiny import play

# invariant 4

BASES: dict[str, tuple[str, dict[str, Any]]] = {  # what it is without durations, and the options that both share
    "vdn_a": ("vdn", {}),
    "qmix_a": ("qmix", {}),
    "qatten_a": ("qatten", {"td_lambda": None}),
    "qplex_a": ("qplex", {"qplex_kernel_layers": 2}),
    "avf_vdn": ("vdn", {}),
    "avf_qmix": ("qmix", {"avf_state": "plain"}),
}
WITHOUT_BASE = {"mvd", "na2q_a"}  # additive, and credit on real terms only: see the next test and test_na2q.py


def test_every_algorithm_with_proxies_says_what_it_is_without_durations() -> None:
    assert set(BASES) | WITHOUT_BASE == set(WITH_PROXIES)


@pytest.mark.parametrize("alg", BASES)
@FEW
@given(seed=SEEDS)
def test_where_every_action_lasts_one_step_an_algorithm_is_its_base(alg: str, seed: int) -> None:
    """Invariant 4: nobody ever executes, so values, targets and loss are those of the padded algorithm."""
    batch = play(seed, n_episodes=2, n_steps=5, longest=1)
    batch["avail_actions"][:, :, 0] = torch.where(  # somebody always decides: agent 0 never dies
        batch["avail_actions"][:, :, 0, :1] != 0, torch.tensor([0, 0, 1, 1, 0, 0]), batch["avail_actions"][:, :, 0]
    )
    batch["actions"][:, :, 0] = batch["actions"][:, :, 0].clamp(min=2)
    base, options = BASES[alg]
    own = {name: value for name, value in options.items() if not name.startswith("avf")}
    ours, theirs = build(alg, batch, **options), build(base, batch, **own)
    for mine, other in ((ours.mac, theirs.mac), (ours.target_mac, theirs.target_mac)):
        mine.agent.load_state_dict(other.agent.state_dict())
    for mine, other in ((ours.mixer, theirs.mixer), (ours.target_mixer, theirs.target_mixer)):
        mine = mine.base if alg.startswith("avf") else mine
        mine.load_state_dict(widened(other.state_dict(), mine.state_dict()))
    one, two = ours.compute(batch), theirs.compute(batch)
    for name in ("q_tot", "target", "loss"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name))


@FEW
@given(seed=SEEDS, order=st.integers(1, 3))
def test_where_every_action_lasts_one_step_mvd_is_additive(seed: int, order: int) -> None:
    """Invariant 4: each agent's slope is the same whatever the others' utilities are (one head)."""
    batch = play(seed, n_episodes=2, n_steps=5, longest=1)
    learner = build("mvd", batch, mvd_order=order, mvd_form="d")
    live = learner.compute(batch).sides.live
    slopes = []
    for level in (0.0, 3.0):
        q = (live.q.detach() + level * torch.randn_like(live.q)).requires_grad_()
        slopes.append(torch.autograd.grad(learner.mixer(q, live.state, live.extras).sum(), q)[0])
    torch.testing.assert_close(*slopes)


# invariant 5. Second forward passes and their gradients, every algorithm: vsp/test_verification.py


def decision(batch: Batch, b: int, t: int, i: int) -> int:
    """By looking back: the latest step at which neither noop nor continue was offered."""
    while bool(batch["avail_actions"][b, t, i, :2].any()):
        t -= 1
    return t


@pytest.mark.parametrize("alg", WITH_PROXIES)
@FEW
@given(seed=SEEDS)
def test_both_sides_read_the_utility_of_the_action_taken_at_the_decision(alg: str, seed: int) -> None:
    """Invariant 5, and the traps of the target side: taken, not greedy; step 0 included; masks of that step."""
    batch = play(seed, n_episodes=2, n_steps=6)
    learner = build(alg, batch)
    sides = learner.compute(batch).sides
    live, target = learner.mac.unroll(batch).detach(), learner.target_mac.unroll(batch)
    for side, q_all, where, later in ((sides.live, live, sides.mask, 0), (sides.target, target, sides.closing, 1)):
        for row, (b, t, _) in enumerate(where.nonzero().tolist()):
            for i in range(live.shape[2]):
                executing = bool(batch["avail_actions"][b, t + later, i, 1])
                assert executing == bool(side.extras.executing[row, i])
                k = decision(batch, b, t + later, i) if executing else 0
                expected = q_all[b, k, i, batch["actions"][b, k, i, 0]] if executing else 0.0
                assert float(side.extras.q_proxy[row, i]) == float(expected)


# invariant 7


@pytest.mark.parametrize("alg", ALGS)
@FEW
@given(seed=SEEDS)
def test_what_is_seen_after_a_real_end_changes_no_update(alg: str, seed: int) -> None:
    """Invariant 7: terminated means y = r; nothing of the last observation is left. After a cut-off it counts."""
    batch = play(seed, n_episodes=4, n_steps=5)
    batch["terminated"].zero_()
    for b in range(4):
        end = last_observation(batch, b)
        batch["terminated"][b, end - 1] = b % 2
        batch["avail_actions"][b, end, 0] = torch.tensor([0, 0, 1, 1, 0, 0])  # somebody would decide there
        batch["actions"][b, end, 0] = 2
    other, cut = copy.deepcopy(batch), copy.deepcopy(batch)
    for b in range(4):
        for name in ("obs", "state"):
            (other if b % 2 else cut)[name][b, last_observation(batch, b)] += 1.0
    before = trained(alg, batch)
    assert equal(before, trained(alg, other))
    assert not equal(before, trained(alg, cut))


@pytest.mark.parametrize("alg", VALUE)
def test_an_end_is_worth_the_rewards_up_to_it(alg: str) -> None:
    """Invariant 7: with utilities of a million on the target side nothing but rewards reaches those targets."""
    batch = play(3, n_episodes=4, n_steps=5)
    learner = build(alg, batch)
    with torch.no_grad():
        dict(learner.target_mac.agent.named_parameters())["fc2.bias"].add_(1e6)
    update = learner.compute(batch)
    last = {b: t for b, t, _ in update.sides.mask.nonzero().tolist()}  # the last row of each episode
    for row, (b, t, _) in enumerate(update.sides.mask.nonzero().tolist()):
        end = last_observation(batch, b)
        if last[b] == t and bool(batch["terminated"][b, end - 1]):
            rewards = sum(learner.keys.gamma**m * float(batch["reward"][b, t + m]) for m in range(end - t))
            assert float(update.target[row]) == pytest.approx(rewards)
        else:
            assert abs(float(update.target[row])) > 1e3


# invariant 8


@pytest.mark.parametrize("tracker", ["running", "batch", "ema", "per_agent"])
@FEW
@given(seed=SEEDS)
def test_c_sees_no_utility_of_an_unplayed_step_or_unavailable_action(tracker: str, seed: int) -> None:
    """Invariant 8 and its trap; kinds that keep the largest need never fall."""
    batch = play(seed, n_episodes=2, n_steps=5)
    clean, spoilt = (build("mvd", batch, mvd_c_tracker=tracker) for _ in range(2))
    for mac in (spoilt.mac, spoilt.target_mac):
        unroll = mac.unroll
        mac.unroll = lambda some, unroll=unroll: torch.where(some["avail_actions"] != 0, unroll(some), -9999999.0)
    clean.compute(batch)
    spoilt.compute(padded(batch, 3))
    torch.testing.assert_close(clean.mixer.minimum.value, spoilt.mixer.minimum.value)
    before = clean.mixer.minimum.value.clone()
    clean.compute(play(seed + 1, n_episodes=2, n_steps=5))
    if tracker in ("running", "per_agent"):
        assert bool((clean.mixer.minimum.value >= before).all())


# invariant 11


@pytest.mark.parametrize("alg", ALGS)
@FEW
@given(seed=SEEDS, n_extra=st.integers(1, 4))
def test_steps_that_were_never_played_change_no_update(alg: str, seed: int, n_extra: int) -> None:
    """Invariant 11, for all that an update moves; the loss itself: learners/test_value_learner.py."""
    batch = play(seed, n_episodes=2, n_steps=5)
    assert equal(trained(alg, batch), trained(alg, padded(batch, n_extra)))


# files and resuming belong to every algorithm


@pytest.mark.parametrize("alg", ALGS)
def test_a_resumed_learner_goes_on_as_if_undisturbed(alg: str) -> None:
    batch = play(0, n_episodes=4, n_steps=5)
    undisturbed, resumed = build(alg, batch), build(alg, batch, seed=9)
    undisturbed.train(batch, 1, 8)
    resumed.load_resume_state(undisturbed.resume_state())
    for learner in (undisturbed, resumed):
        learner.train(play(1, n_episodes=4, n_steps=5), 2, 300)
        learner.train(play(2, n_episodes=4, n_steps=5), 3, 600)
    for one, other in zip(parameters(undisturbed), parameters(resumed)):
        assert torch.equal(one, other)
    before: list[Tensor] = parameters(undisturbed)
    undisturbed.train(batch, 4, 900)
    assert not equal(before, parameters(undisturbed))


def test_every_algorithm_is_of_one_kind() -> None:
    assert sorted([*VALUE, *OWN_DECISIONS]) == ALGS
