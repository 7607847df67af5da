"""The proxy on the environment's side: the task untouched, the second half as the paper describes it."""

from typing import Any, Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.simulator import CONTINUE, NOOP, Simulator
from plugins.controllers.async_mac import AsyncMAC
from plugins.vsp.environment import VSP
from plugins.vsp.indices import decision_steps, proxy_utilities, read_status
from tests.plugins.acting import make_toy, settings
from tests.plugins.vsp.recording import recorded
from tests.toy import random_actions

SHARED = ("state", "reward", "terminated", "truncated", "t", "decisions")


def poac(batch_size: int) -> Simulator:
    """A small POAC task."""
    from async_envs.poac.simulator import make

    return make("async:poac-1", "1", batch_size, episode_limit=60)


def toy(batch_size: int) -> Simulator:
    """The toy with three agents."""
    return make_toy("async:toy-3", batch_size)


def both_halves(proxied: VSP, actions: np.ndarray) -> np.ndarray:
    """The task's actions followed by each proxy's only available one."""
    proxies = proxied.avail_actions[:, actions.shape[1] :].argmax(-1)
    return np.concatenate([actions, proxies], 1)


@pytest.mark.parametrize("build", [toy, poac])
def test_random_play_is_the_same_bit_for_bit_with_and_without_proxies(build: Callable) -> None:
    plain, proxied = build(4), VSP(build(4))
    rng = np.random.default_rng(0)
    n_agents = plain.n_agents
    for seeds in ([1, 2, 3, 4], [5, 6, 7, 8]):
        plain.reset(seeds)
        proxied.reset(seeds)
        while not (plain.terminated | plain.truncated).all():
            actions = random_actions(plain, rng)
            plain.step(actions)
            proxied.step(both_halves(proxied, actions))
            for name in SHARED:
                np.testing.assert_array_equal(getattr(proxied, name), getattr(plain, name))
            np.testing.assert_array_equal(proxied.obs[:, :n_agents], plain.obs)
            np.testing.assert_array_equal(proxied.avail_actions[:, :n_agents], plain.avail_actions)
        for name, values in plain.metrics.items():
            np.testing.assert_array_equal(proxied.metrics[name], values)


@given(seed=st.integers(0, 2**32), play=st.integers(0, 2**32))
def test_a_proxy_shows_the_decision_while_its_agent_executes_and_nothing_else(seed: int, play: int) -> None:
    """Twin in plain Python: remember what was seen and chosen when deciding."""
    proxied, rng = VSP(toy(1)), np.random.default_rng(play)
    proxied.reset([seed])
    seen: list[np.ndarray] = [np.zeros(proxied.obs_dim)] * 3
    chosen = [0] * 3
    while True:
        for i in range(3):
            executing = proxied.avail_actions[0, i, CONTINUE] == 1
            available = np.flatnonzero(proxied.avail_actions[0, 3 + i])
            assert available.tolist() == [chosen[i] if executing else NOOP]
            np.testing.assert_array_equal(proxied.obs[0, 3 + i], seen[i] if executing else 0.0)
        if proxied.terminated[0] or proxied.truncated[0]:
            return
        actions = random_actions(proxied, rng)
        for i in range(3):
            if not proxied.avail_actions[0, i, [NOOP, CONTINUE]].any():
                seen[i], chosen[i] = proxied.obs[0, i].copy(), int(actions[0, i])
        proxied.step(actions)


def test_rows_of_finished_episodes_stay_and_a_restart_clears_old_decisions() -> None:
    proxied, rng = VSP(toy(3)), np.random.default_rng(2)
    proxied.reset([1, 2, 3])
    while not (proxied.terminated | proxied.truncated)[1]:
        proxied.step(random_actions(proxied, rng))
    kept = proxied.obs[1].copy(), proxied.avail_actions[1].copy()
    if not (proxied.terminated | proxied.truncated).all():
        proxied.step(random_actions(proxied, rng))
    np.testing.assert_array_equal(proxied.obs[1], kept[0])
    np.testing.assert_array_equal(proxied.avail_actions[1], kept[1])
    proxied.reset([9, 9, 9], np.array([False, True, False]))
    fresh = VSP(toy(3))
    fresh.reset([9, 9, 9])
    np.testing.assert_array_equal(proxied.obs[1], fresh.obs[1])
    assert proxied.t[1] == 0 and not proxied.terminated[1]


def test_a_proxy_cannot_be_wrapped_again() -> None:
    with pytest.raises(ValueError, match="async:toy-3: this simulator is a VSP already"):
        VSP(VSP(toy(1)))


def test_a_proxys_wrong_action_is_refused_with_its_agent_named() -> None:
    proxied = VSP(toy(1))
    proxied.reset([1])
    with pytest.raises(ValueError, match="agent 4: action 2 'wait' is not available to the proxy of agent 1"):
        proxied.step(np.array([[2, 2, 2, 0, 2, 0]]))


def both_sides(build: Callable[[int], Simulator], use_rnn: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Proxy utilities [B, T, N] of the learner's gather, and of the simulator's second half."""
    batch = recorded(VSP(build(4)), seeds=range(4))
    n_agents = batch["obs"].shape[2] // 2
    config: Any = settings(
        n_agents=2 * n_agents, n_actions=batch["avail_actions"].shape[3],
        use_rnn=use_rnn, obs_last_action=False, obs_agent_id=False,
    )  # fmt: skip
    torch.manual_seed(0)
    mac = AsyncMAC({"obs": {"vshape": batch["obs"].shape[3]}}, {"agents": 2 * n_agents}, config)
    with torch.no_grad():
        q_taken = mac.unroll(batch).gather(3, batch["actions"]).squeeze(3)
    status = read_status(batch["avail_actions"][:, :, :n_agents], batch["filled"])
    gathered = proxy_utilities(q_taken[:, :, :n_agents], decision_steps(status.deciding), status.executing)
    shown = q_taken[:, :, n_agents:] * status.executing
    assert status.executing.any()
    return gathered, shown


@pytest.mark.parametrize("build", [toy, poac])
def test_for_a_memoryless_network_both_sides_give_the_proxy_the_same_utility(build: Callable) -> None:
    gathered, shown = both_sides(build, use_rnn=False)
    torch.testing.assert_close(gathered, shown, rtol=0, atol=1e-5)


def test_for_a_recurrent_network_they_do_not() -> None:
    """The environment's proxy has a history of its own (docs: the two sides agree on all but utilities)."""
    gathered, shown = both_sides(toy, use_rnn=True)
    assert (gathered - shown).abs().max() > 1e-3


def test_a_task_that_hides_statuses_is_refused():
    """SMAC's own numbering has one index for the busy and the dead."""
    from async_envs.smac.simulator import make

    with pytest.raises(ValueError, match="do not begin with noop and continue, so a VSP cannot tell who executes"):
        VSP(make("async:smac-3m", "3m", smac_compat=True))
    assert 6 == VSP(make("async:smac-3m", "3m")).n_agents


def test_closing_the_proxies_closes_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    task, closed = toy(1), []
    monkeypatch.setattr(task, "close", lambda: closed.append(task))
    VSP(task).close()
    assert [task] == closed
