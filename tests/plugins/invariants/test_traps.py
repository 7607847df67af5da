"""Traps that belong to no single mixer: how targets are copied, what the recurrent state sees, ends by the clock."""

from typing import Any

import numpy as np
import pytest
import torch

from registry import catalog
from tests.plugins.invariants.subjects import ALGS, VALUE, WITH_PROXIES, build, parameters
from tests.plugins.tiny import make_learner, play


def moved(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("alg", VALUE)
def test_target_networks_are_copied_by_episodes_not_by_calls(alg: str) -> None:
    """Trap: the host counts training calls, which differ from episodes by the factor batch_size_run."""
    batch = play(0, n_episodes=2, n_steps=4)
    learner = build(alg, batch, target_update_interval_or_tau=10)

    def targets() -> list[torch.Tensor]:
        networks = (learner.target_mac, learner.target_mixer)
        return [each.detach().clone() for network in networks for each in network.parameters()]

    copied = []
    for episode in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 19, 20, 40):
        before = targets()
        learner.train(batch, t_env=episode, episode_num=episode)
        copied += [episode] if moved(before, targets()) else []
    assert copied == [10, 20, 40]


@pytest.mark.parametrize("alg", VALUE)
def test_an_error_of_two_costs_four(alg: str) -> None:
    """Trap: the factor 1/2 in front of the squared error, which pymarl2 has."""
    batch = play(0, n_episodes=2, n_steps=4)
    learner = build(alg, batch)
    learner._returns = lambda reward, terminated, q_next, sides: learner.mixer(*sides.live).detach().squeeze(1) - 2.0
    if learner.draws.fields(learner.mixer, batch["filled"], batch["obs"]):
        learner.mixer.draw = lambda n_rows, generator, draw=learner.mixer.draw: draw(
            n_rows, torch.Generator().manual_seed(3)
        )
    update = learner.compute(batch)
    assert float(update.loss.detach() - sum(update.own_losses.values())) == pytest.approx(4.0)


@pytest.mark.parametrize("fused", [False, True], ids=["loop", "fused"])
@pytest.mark.parametrize("alg", VALUE)
def test_the_recurrent_state_moves_at_every_step(alg: str, fused: bool) -> None:
    """Trap: with padding and proxies the network is stepped while its agent executes; a later decision knows it."""
    batch = play(1, n_episodes=1, n_steps=9, longest=4)
    executing = batch["avail_actions"][0, :, 0, 1] != 0
    t = int(executing.nonzero()[0])
    later = int((~executing[t:]).nonzero()[0]) + t
    learner = make_learner(alg, batch, fused=fused)
    before = learner.mac.unroll(batch).detach()
    batch["obs"][0, t, 0] += 1.0
    after = learner.mac.unroll(batch).detach()
    assert torch.equal(before[0, :t], after[0, :t])
    assert float((before[0, later, 0] - after[0, later, 0]).abs().max()) > 1e-6


@pytest.mark.parametrize("alg", WITH_PROXIES)
def test_a_proxy_does_not_see_what_its_agent_sees_after_the_decision(alg: str) -> None:
    """The counterpart: the utility that an executing agent's slot or proxy holds is that of the decision."""
    batch = play(1, n_episodes=1, n_steps=9, longest=4)
    learner = build(alg, batch)
    q_proxy = learner.compute(batch).sides.live.extras.q_proxy
    executing = (batch["avail_actions"][..., 1] != 0).unsqueeze(3)
    batch["obs"] = torch.where(executing, batch["obs"] + 1.0, batch["obs"])
    first = learner.compute(batch).sides.live.extras.q_proxy[: int(executing[0, :, 0, 0].nonzero()[0]) + 1]
    assert bool(first.any()) and torch.equal(first, q_proxy[: len(first)])


@pytest.mark.parametrize("key", ["async:poac-1", "async:overcooked-A"])
def test_the_step_limit_leaves_everybody_as_they_were(key: str) -> None:
    """Trap: reporting all agents done at a time limit, so that the last value is bootstrapped from a wrong status.

    The same play with a later limit: at the step of the limit every agent may do the same.
    """
    limits = (6, 12)
    plays: list[Any] = [catalog.make(key, batch_size=4, episode_limit=limit) for limit in limits]
    for each in plays:
        each.reset(list(range(4)))
    rng = np.random.default_rng(0)
    for _ in range(limits[0]):
        chance = rng.random(plays[0].avail_actions.shape) * plays[0].avail_actions
        for each in plays:
            each.step(chance.argmax(axis=2))
    short, long = plays
    cut = short.truncated
    assert cut.any() and not long.truncated.any()
    assert np.array_equal(short.avail_actions[cut], long.avail_actions[cut])
    assert (short.avail_actions[cut][..., 1] != 0).any()  # somebody was cut off in an action


def test_every_algorithm_can_be_built_and_has_parameters_to_move() -> None:
    batch = play(0, n_episodes=2, n_steps=4)
    for alg in ALGS:
        assert len(parameters(build(alg, batch))) > 0
