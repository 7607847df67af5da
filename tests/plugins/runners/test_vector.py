"""The vector runner on the toy family."""

from typing import Any

import numpy as np
import pytest
import torch

from async_envs.core.seeding import episode_seed
from async_envs.core.simulator import Simulator
from async_envs.core.status import statuses
from plugins.controllers.async_mac import AsyncMAC
from tests.plugins.acting import Log, Records, build_runner, make_toy, settings

FIELDS = ("state", "obs", "avail_actions", "actions", "reward", "terminated", "filled")


def replay(batch: Any, row: int, seed: int) -> tuple[dict[str, list[np.ndarray]], Simulator]:
    """What a simulator of one episode shows when it is given the stored actions of `row`."""
    simulator = make_toy("async:toy-3")
    simulator.reset([seed])
    shown: dict[str, list[np.ndarray]] = {name: [] for name in FIELDS}
    t = 0
    while True:
        actions = batch["actions"][row, t, :, 0].numpy()
        shown["state"].append(simulator.state[0].copy())
        shown["obs"].append(simulator.obs[0].copy())
        shown["avail_actions"].append(simulator.avail_actions[0].copy())
        shown["actions"].append(actions[:, None])
        shown["filled"].append(np.ones(1))
        over = simulator.terminated[0] or simulator.truncated[0]
        if over:
            shown["reward"].append(np.zeros(1))
            shown["terminated"].append(np.zeros(1))
            return shown, simulator
        simulator.step(actions[None])
        shown["reward"].append(simulator.reward.copy())
        shown["terminated"].append(simulator.terminated.copy())
        t += 1


def test_batch_holds_exactly_what_each_episode_showed() -> None:
    """Every field, the last observation included; rows after the end are zero; buffers are reused."""
    runner, _ = build_runner(settings(batch_size_run=6))
    for rollout in range(3):
        batch = runner.run()
        for row in range(6):
            shown, _ = replay(batch, row, episode_seed(7, "train", 6 * rollout + row))
            n_stored = len(shown["filled"])
            for name in FIELDS:
                stored = batch[name][row].numpy().astype(np.float64)
                np.testing.assert_array_equal(stored[:n_stored], np.array(shown[name]))
                assert (stored[n_stored:] == 0).all(), name


def test_the_last_stored_action_is_available() -> None:
    """It is never executed, but learners read its utility."""
    batch = build_runner(settings(batch_size_run=8))[0].run()
    last = batch["filled"].sum(1).squeeze(1) - 1
    rows = torch.arange(8)
    assert (batch["avail_actions"][rows, last].gather(2, batch["actions"][rows, last]) == 1).all()


def test_a_rollout_is_one_update_of_the_hosts_batch() -> None:
    assert build_runner(settings())[0].run().n_updates == 1


def test_only_real_ends_are_stored_as_terminated() -> None:
    """With a goal out of reach and 4 steps, an episode is cut off, unless all miners die."""
    runner, _ = build_runner(settings(env_args={"key": "async:toy-3", "goal": 1e6, "episode_limit": 4}))
    batch = runner.run()
    assert (batch["filled"].sum(1) == 5).any()
    cut_off = batch["filled"][:, 4, 0] == 1
    dead = batch["avail_actions"][:, 4, :, 0].sum(1) == 3
    assert (batch["terminated"][cut_off & ~dead] == 0).all()


def test_t_env_counts_the_steps_of_training_only() -> None:
    runner, _ = build_runner(settings())
    n_steps = int((runner.run()["filled"].sum(1) - 1).sum())
    assert runner.t_env == n_steps
    runner.run(test_mode=True)
    runner.evaluate(3)
    assert runner.t_env == n_steps


def test_decisions_are_those_of_training_that_were_carried_out() -> None:
    """Counted again from what was stored; nobody decides any more at an episode's last observation."""
    records = Records()
    runner, _ = build_runner(settings(), recorder=records)
    n_decisions = 0
    for _ in range(3):
        batch = runner.run()
        last = batch["filled"].sum(1, keepdim=True) - 1
        carried_out = torch.arange(batch["filled"].shape[1]).view(1, -1, 1) < last
        n_decisions += int(statuses(batch["avail_actions"].numpy(), carried_out.numpy()).deciding.sum())
        assert n_decisions == runner.decisions > 0
        runner.evaluate(2)
        assert records.decisions[-1] == n_decisions == runner.decisions


def test_testing_does_not_change_training() -> None:
    plain, _ = build_runner(settings())
    tested, _ = build_runner(settings())
    for _ in range(3):
        expected = plain.run()
        tested.evaluate(5)
        tested.run(test_mode=True)
        given = tested.run()
        assert all(torch.equal(given[name], expected[name]) for name in FIELDS)


class ByRule(AsyncMAC):
    """Acts by what one agent sees: digs when its luck is above 1/2, else the lowest available action."""

    def act(self, obs, avail, last_actions, rows, t_env, test_mode):  # type: ignore[no-untyped-def]
        digs = (obs[..., 4] > 0.5) & (avail[..., 3] == 1)
        return np.where(digs, 3, avail.argmax(-1))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_results_do_not_depend_on_how_many_episodes_play_at_once(batch_size: int) -> None:
    def results(batch_size_run: int) -> list[dict[str, Any]]:
        config = settings(batch_size_run=batch_size_run, test_nepisode=24)
        runner, mac = build_runner(config, recorder=Records())
        mac.__class__ = ByRule
        for _ in range(24 // batch_size_run):
            runner.run(test_mode=True)
        return runner._recorder.tests[0][1]

    assert results(batch_size) == results(24)


def test_evaluate_plays_exactly_the_episodes_asked_for_and_goes_on_with_the_next() -> None:
    runner, _ = build_runner(settings())
    first, second = runner.evaluate(40), runner.evaluate(2)
    assert [episode["seed"] for episode in first + second] == [episode_seed(7, "test", j) for j in range(42)]
    assert set(first[0]) == {
        "seed", "return", "length", "decisions", "battle_won", "gold", "n_dead", "episode_limit",
    }  # fmt: skip


@pytest.mark.parametrize("batch_size, n_wanted", [(1, 5), (4, 8), (4, 10), (8, 5)])
def test_a_hosts_test_loop_plays_exactly_test_nepisode(batch_size: int, n_wanted: int) -> None:
    log, records = Log(), Records()
    runner, _ = build_runner(settings(batch_size_run=batch_size, test_nepisode=n_wanted), log, records)
    for _ in range(2):
        for _ in range(max(1, n_wanted // batch_size)):
            runner.run(test_mode=True)
    assert [len(episodes) for _, episodes in records.tests] == [n_wanted, n_wanted]
    assert len(log.stats["test_return_mean"]) == 2


def test_a_hosts_evaluation_loop_plays_one_episode_a_call() -> None:
    records = Records()
    runner, _ = build_runner(settings(evaluate=True, test_nepisode=3), recorder=records)
    for _ in range(3):
        assert runner.run(test_mode=True).batch_size == 1
    assert [len(episodes) for _, episodes in records.tests] == [3]


def test_statistics_are_means_over_episodes_under_the_hosts_names() -> None:
    log, records = Log(), Records()
    runner, _ = build_runner(settings(runner_log_interval=1), log, records)
    batch = runner.run()
    returns = batch["reward"].sum((1, 2)).double().numpy()
    assert log.stats["return_mean"] == [(pytest.approx(returns.mean(), rel=1e-6), runner.t_env)]
    assert log.stats["return_std"][0][0] == pytest.approx(returns.std(), rel=1e-5)
    assert log.stats["ep_length_mean"] == [(runner.t_env / 4, runner.t_env)]
    assert log.stats["epsilon"][0][0] <= 1.0
    episodes = runner.evaluate(6)
    won = [episode["battle_won"] for episode in episodes]
    assert log.stats["test_battle_won_mean"][0][0] == pytest.approx(np.mean(won))
    assert records.tests == [(runner.t_env, episodes)]


class BrokenToy:
    """Makes the toy return a bad number at the third step of the second episode."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, key: str, batch_size: int, **options: Any) -> Simulator:
        simulator = make_toy(key, batch_size, **options)
        step = simulator._step

        def broken(actions: np.ndarray) -> None:
            step(actions)
            if simulator.t[1] == 3:
                getattr(simulator, self.name)[1] = np.nan

        simulator._step = broken  # type: ignore[method-assign]
        return simulator


@pytest.mark.parametrize("name, what", [("reward", "the reward is nan"), ("obs", "obs holds a number")])
def test_a_number_that_is_not_finite_stops_the_run_with_the_episode_and_step(name: str, what: str) -> None:
    runner, mac = build_runner(settings(), make=BrokenToy(name))
    mac.__class__ = ByRule
    seed = episode_seed(7, "train", 1)
    with pytest.raises(FloatingPointError, match=f"^async:toy-3: episode with seed {seed}, step 3: {what}"):
        runner.run()


def test_a_resumed_runner_goes_on_as_the_first_would_have(tmp_path) -> None:
    """Counters and unlogged statistics; the state survives torch's safe loader."""
    log, other_log = Log(), Log()
    runner, mac = build_runner(settings(runner_log_interval=60), log)
    runner.run()
    runner.evaluate(3)
    torch.save([runner.resume_state(), mac.resume_state()], tmp_path / "state.th")
    other, other_mac = build_runner(settings(runner_log_interval=60), other_log)
    state, mac_state = torch.load(tmp_path / "state.th", weights_only=True)
    other.load_resume_state(state)
    other_mac.load_resume_state(mac_state)
    log.stats.clear()
    for _ in range(4):
        expected, given = runner.run(), other.run()
        assert all(torch.equal(given[name], expected[name]) for name in FIELDS)
    assert other.evaluate(3) == runner.evaluate(3)
    assert other_log.stats == log.stats and log.stats


def test_a_controller_that_cannot_act_is_refused() -> None:
    runner, _ = build_runner(settings())
    with pytest.raises(TypeError, match="the controller object has no method act. Use mac=async_mac"):
        runner.setup({}, {}, {}, object())


def test_render_and_replay_of_a_family_without_them_are_refused() -> None:
    runner, _ = build_runner(settings())
    with pytest.raises(ValueError, match="async:toy-3: this family saves no replays"):
        runner.save_replay()


def test_under_the_proxy_the_agents_are_doubled_and_actions_stay_legal() -> None:
    runner, mac = build_runner(settings(env_args={"key": "async:toy-3", "vsp": True}))
    batch = runner.run()
    assert mac.n_agents == 6 and batch["obs"].shape[2] == 6
    chosen = batch["avail_actions"].gather(3, batch["actions"])
    assert (chosen[batch["filled"][:, :, 0] == 1] == 1).all()
