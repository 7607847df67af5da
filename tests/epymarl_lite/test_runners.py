"""The two runners play what EPyMARL's would, exactly as many episodes as asked, and survive their workers."""

import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch as th

from async_envs.core.seeding import episode_seed
from epymarl_lite.runners import EpisodeRunner, ParallelRunner
from epymarl_lite.runners.base import EnvError
from epymarl_lite.run import layout
from tests.epymarl_lite import fakes

fakes.register()


class Log:
    """Keeps what is logged and recorded."""

    def __init__(self):
        self.stats, self.tests, self.recorder = [], [], self

    def log_stat(self, name, value, t):
        self.stats.append((name, float(value), t))

    def test(self, t_env, episodes, decisions):
        self.tests.append((t_env, episodes))


def a_runner(kind=EpisodeRunner, n=1, fault=None, at=5, options=None, **changes):
    env_args = {"fault": fault, "at": at} if fault else {}
    args = fakes.arguments_of(batch_size_run=n, env_args=env_args, **changes)
    runner = kind(args, Log(), **{"episode_seed": episode_seed, **(options or {})})
    scheme, groups, preprocess = layout(args, runner.get_env_info())
    th.manual_seed(0)
    runner.setup(scheme, groups, preprocess, fakes.Controller(scheme, groups, args))
    return runner


@pytest.fixture
def running():
    """Runners that are closed at the end."""
    runners = []
    yield lambda *given, **more: runners.append(a_runner(*given, **more)) or runners[-1]
    for runner in runners:
        runner.close_env()


def test_one_episode_is_stored_as_the_environment_tells_it(running):
    runner = running()
    batch = runner.run()
    env = fakes.Line(0, True, "sum")
    env.reset(seed=episode_seed(1, "train", 0))
    for t in range(runner.t):
        assert np.array_equal(batch["state"][0, t], env.get_state())
        assert np.array_equal(batch["obs"][0, t], np.stack(env.get_obs()))
        assert np.array_equal(batch["avail_actions"][0, t], env.get_avail_actions())
        _, reward, terminated, truncated, _ = env.step(batch["actions"][0, t, :, 0])
        assert batch["reward"][0, t, 0] == np.float32(reward)
        assert batch["terminated"][0, t, 0] == terminated
    assert terminated or truncated
    assert batch["filled"][0, :, 0].tolist() == [1] * (runner.t + 1) + [0] * (fakes.LIMIT - runner.t)
    assert runner.t_env == runner.t
    assert batch["actions_onehot"][0, runner.t].sum() == fakes.N_AGENTS  # an action for the last state too


def test_the_step_limit_is_no_end_of_the_task(running):
    runner = running()
    ends = {True: set(), False: set()}
    for _ in range(12):
        batch = runner.run()
        ends[runner.t == fakes.LIMIT].add(int(batch["terminated"].sum()))
    assert ends == {True: {0}, False: {1}}


def test_parallel_episodes_are_those_that_come_one_by_one(running):
    """Same seeds, same (greedy) choices: evaluation in 3 workers equals evaluation in this process."""
    one, three = running(), running(ParallelRunner, 3)
    assert one.evaluate(7) == three.evaluate(7)
    assert [name for name, _, _ in one.logger.stats] == [name for name, _, _ in three.logger.stats]
    assert one.logger.tests == three.logger.tests and len(one.logger.tests[0][1]) == 7


def test_a_parallel_rollout_holds_one_episode_a_row(running):
    runner = running(ParallelRunner, 3)
    batch = runner.run()
    lengths = batch["filled"].sum(dim=1).flatten() - 1
    assert runner.t_env == lengths.sum()
    for b in range(3):
        env = fakes.Line(0, True, "sum")
        env.reset(seed=episode_seed(1, "train", b))
        env.get_state(), env.get_obs()
        assert np.array_equal(batch["state"][b, 0], env.get_state())
        assert batch["reward"][b, int(lengths[b]) :].sum() == 0
        assert batch["actions_onehot"][b].sum() == fakes.N_AGENTS * (lengths[b] + 1)


@pytest.mark.slow
def test_fork_spawn_and_forkserver_play_the_same(running):
    results = []
    for method in ("fork", "spawn", "forkserver"):
        runner = running(ParallelRunner, 2, options={"start_method": method})
        results.append((runner.evaluate(3), runner.run()["obs"].tolist()))
    assert results[0] == results[1] == results[2]


def test_a_test_cycle_of_the_hosts_loops_plays_exactly_test_nepisode(running):
    runner = running(ParallelRunner, 2, test_nepisode=3)
    runner.run(test_mode=True)
    runner.run(test_mode=True)
    lengths = {name: value for name, value, _ in runner.logger.stats}
    assert runner.t_env == 0 and not runner.test_returns
    expected = running(ParallelRunner, 2, test_nepisode=3).evaluate(3)
    assert lengths["test_ep_length_mean"] == pytest.approx(np.mean([e["length"] for e in expected]))


def test_testing_moves_no_training_episode(running):
    quiet, tested = running(), running()
    for _ in range(3):
        tested.evaluate(2)
        assert th.equal(quiet.run()["obs"], tested.run()["obs"])


def test_logged_means_are_over_the_episodes_since_the_last_log(running):
    runner = running(runner_log_interval=30)
    returns = []
    while len([s for s in runner.logger.stats if s[0] == "return_mean"]) < 2:
        before = len(runner.logger.stats)
        returns.append(float(runner.run()["reward"].sum()))
        if before == 0:
            assert runner.logger.stats[0][:2] == ("return_mean", pytest.approx(returns.pop(), abs=1e-5))
    logged = [value for name, value, _ in runner.logger.stats if name == "return_mean"]
    assert logged[1] == pytest.approx(np.mean(returns), abs=1e-5)
    assert ("epsilon", 0.25, runner.t_env) in runner.logger.stats


def test_agents_may_have_rewards_of_their_own(running):
    for runner in (running(common_reward=False), running(ParallelRunner, 2, common_reward=False)):
        batch = runner.run()
        assert batch["reward"].shape[-1] == 2
        assert th.allclose(batch["reward"][..., 1], 2 * batch["reward"][..., 0])
        names = {name for name, _, _ in runner.logger.stats}
        assert {"agent_1_return_mean", "total_return_std"} <= names and "return_mean" not in names


def test_resumed_counters_give_the_episodes_that_would_have_come(running):
    first, second = running(ParallelRunner, 2), running(ParallelRunner, 2)
    first.run()
    first.evaluate(1)
    second.load_resume_state(first.resume_state())
    second.mac.load_resume_state(first.mac.resume_state())
    assert th.equal(first.run()["obs"], second.run()["obs"])
    assert first.evaluate(2) == second.evaluate(2)
    assert first.train_returns == second.train_returns


@pytest.mark.parametrize("kind", [EpisodeRunner, ParallelRunner])
def test_an_error_in_an_environment_is_told_with_seed_step_and_actions(running, kind):
    runner = running(kind, fault="raise", at=3)
    seed = episode_seed(1, "train", 0)
    with pytest.raises(
        EnvError, match=rf"environment 0.*{seed}, step 2, actions \[.*RuntimeError: the mine has coll"
    ):
        runner.run()


@pytest.mark.parametrize("kind", [EpisodeRunner, ParallelRunner])
def test_a_reward_that_is_no_number_stops_the_run(running, kind):
    with pytest.raises(EnvError, match="the reward is nan"):
        running(kind, fault="nan", at=3).run()


def test_a_killed_worker_ends_the_run_with_one_line(running):
    runner = running(ParallelRunner, 2, fault="die", at=3)
    with pytest.raises(EnvError, match=r"environment 0: .* step 2.*process is gone \(exit code -9\)"):
        runner.run()
    assert not any(process.is_alive() for process in runner._processes)


def test_a_worker_killed_between_rollouts_is_noticed(running):
    runner = running(ParallelRunner, 2)
    runner.run()
    os.kill(runner._processes[1].pid, signal.SIGKILL)
    with pytest.raises(EnvError, match=r"environment 1: .*process is gone \(exit code -9\)"):
        runner.run()


def test_a_hanging_worker_is_given_up_after_the_time_out(running):
    runner = running(ParallelRunner, 2, fault="hang", at=3, options={"timeout_s": 0.5})
    start = time.monotonic()
    with pytest.raises(EnvError, match=r"environment 0: .*step 2.*no answer within 0\.5 s"):
        runner.run()
    assert time.monotonic() - start < 30
    assert not any(process.is_alive() for process in runner._processes)


def test_what_cannot_be_run_is_refused_in_words(running):
    with pytest.raises(ValueError, match="batch_size_run=2 is not accepted"):
        a_runner(n=2)
    for kind in (EpisodeRunner, ParallelRunner):
        with pytest.raises(ValueError, match="env='lien' is not known. Known: .*line"):
            a_runner(kind, env="lien")
    runner = running()
    runner.env.step = lambda actions: (None, 0.0, True, False, {"path": [1, 2]})
    with pytest.raises(EnvError, match=r"info\['path'\]=\[1, 2\] is not a number"):
        runner.run()


def test_an_episode_seed_can_be_handed_in(running):
    runner = running(
        options={"episode_seed": lambda seed, stream, k: {"train": 100, "test": 500}[stream] + k}
    )
    assert [episode["seed"] for episode in runner.evaluate(2)] == [500, 501]
    assert SimpleNamespace(**runner.resume_state()).n_played == {"train": 0, "test": 2}
