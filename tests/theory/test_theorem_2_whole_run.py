"""Theorem 2 of arXiv:2408.03692v2 through everything: simulator, runner, replay, learner, embedded host."""

import pytest
import torch

from tests.hosts.conftest import host_or_skip
from tests.hosts.harness import train

RUN = {
    "env_args": {"key": "async:tabular-payoff", "episode_limit": None, "a": 1.0, "b": 2.0, "shown": False},
    "t_max": 4_800, "batch_size_run": 16, "batch_size": 16, "buffer_size": 16, "hidden_dim": 16,
    "epsilon_start": 1.0, "epsilon_finish": 1.0, "lr": 0.002, "target_update_interval_or_tau": 0.1,
    "learner_log_interval": 100_000, "runner_log_interval": 100_000, "log_interval": 100_000, "seed": 1,
    "compact_buffer": False,
}  # fmt: skip


def errors_by_choice(watched):
    """{payoff: q_tot - payoff} at the column's step, by the learner at the end, on its last batch."""
    batch = watched.batches[-1]
    with torch.no_grad():
        update = watched.learner.compute(batch)
    payoff = batch["reward"][:, 1, 0]
    error = update.q_tot.view(-1, 2)[:, 1] - payoff
    return {wanted: error[payoff == wanted].abs().max().item() for wanted in set(payoff.tolist())}


@pytest.mark.slow
def test_a_whole_run_of_mvd_learns_figure_9(tmp_path, monkeypatch):
    """MVD(2) on async:tabular-payoff: error below 1e-3 at all four joint choices."""
    watched, _ = train(host_or_skip("embedded"), "mvd", tmp_path, monkeypatch, **RUN)
    errors = errors_by_choice(watched)
    assert sorted(errors) == [1.0, 2.0, 4.0]
    assert max(errors.values()) < 1e-3


@pytest.mark.slow
def test_a_whole_run_of_vdn_with_proxies_does_not(tmp_path, monkeypatch):
    """VDN(A): at some joint choice the error is (b - a)^2 / 4 = 0.25 or more, in whatever proportions they came."""
    watched, _ = train(host_or_skip("embedded"), "vdn_a", tmp_path, monkeypatch, **RUN)
    assert 0.25 - 1e-6 <= max(errors_by_choice(watched).values()) < 1.0  # wrong, but trained
