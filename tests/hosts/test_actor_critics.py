"""The actor-critics under every host's loop: each episode is learned from in one update only."""

import math
from typing import Any

import pytest
import torch

from tests.hosts.harness import settings, train
from tests.plugins.tiny import ACTOR_CRITICS

SIZES = {"batch_size": 4, "buffer_size": 4, "batch_size_run": 2, "t_max": 250}


def watch(host: Any, algorithm: str, tmp_path: Any, monkeypatch: Any, **changes: Any) -> tuple[list[Any], Any, Any]:
    """(episodes of each update, the learner, what was heard) of a tiny run."""
    learned: list[Any] = []
    learners: list[Any] = []
    update = ACTOR_CRITICS[algorithm].update

    def watched(self: Any, played: Any, episode_num: int) -> Any:
        learners.append(self)
        learned.append([(episode.double().sum().item(), episode.shape) for episode in played.batch["obs"]])
        return update(self, played, episode_num)

    monkeypatch.setattr(ACTOR_CRITICS[algorithm], "update", watched)
    _, heard = train(host, algorithm, tmp_path, monkeypatch, **SIZES | changes)
    return learned, learners[0], heard


def check(learned: list[Any], learner: Any, heard: Any, n_updates: int) -> None:
    assert n_updates == len(learned) == learner.training_steps
    sums = [total for batch in learned for total, _ in batch]
    assert len(sums) == 4 * n_updates == len(set(sums)), "an episode was learned from twice"
    for name in ("actor_loss", "critic_loss"):
        values = [value for _, value in heard.stats[name]]
        assert values and all(math.isfinite(value) for value in values)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in learner.params)


@pytest.mark.parametrize("algorithm", ACTOR_CRITICS)
def test_they_train_on_every_host_from_fresh_episodes_only(host, algorithm, tmp_path, monkeypatch):
    """Rollouts of 2 episodes of 20 steps until 250 are passed: 7 rollouts, so 3 batches of 4 episodes."""
    learned, learner, heard = watch(host, algorithm, tmp_path, monkeypatch)
    check(learned, learner, heard, 3)


@pytest.mark.parametrize("algorithm", ACTOR_CRITICS)
def test_they_train_with_the_hosts_episode_runner(host, algorithm, tmp_path, monkeypatch):
    """One episode a rollout: 13 episodes, 3 batches."""
    learned, learner, heard = watch(host, algorithm, tmp_path, monkeypatch, runner="episode", batch_size_run=1)
    check(learned, learner, heard, 3)


@pytest.mark.slow
def test_they_train_with_the_hosts_parallel_runner(host, tmp_path, monkeypatch, start_method):
    learned, learner, heard = watch(host, "mac_iaicc", tmp_path, monkeypatch, runner="parallel")
    check(learned, learner, heard, 3)


def test_the_hosts_runner_acts_as_ours(host, tmp_path, monkeypatch):
    """What the episode runner's policies gave is what the learner works out from the stored episodes."""
    from plugins.learners.ippo import IppoLearner

    ratios = []
    descend = IppoLearner.losses

    def listening(self: Any, played: Any, targets: Any) -> Any:
        losses = descend(self, played, targets)
        ratios.append(float(losses.statistics["clipped"]))
        return losses

    monkeypatch.setattr(IppoLearner, "losses", listening)
    watch(host, "ippo", tmp_path, monkeypatch, runner="episode", batch_size_run=1)
    assert ratios[0] == 0.0  # the first epoch starts from the policy that played


@pytest.mark.parametrize("changes, words", [
    ({"buffer_size": 8}, "batch_size=4 and buffer_size=8 differ"),
    ({"batch_size_run": 3}, "no multiple of batch_size_run=3"),
    ({"mac": "async_mac"}, "mac='async_mac' is not accepted"),
    ({"agent": "rnn_individual"}, "agent='rnn_individual' is not accepted"),
])  # fmt: skip
def test_what_would_be_learned_from_twice_is_refused_before_the_run(host, changes, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        settings(host, "ippo", tmp_path, **SIZES | changes)
