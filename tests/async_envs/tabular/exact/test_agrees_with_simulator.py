"""The exact models against the simulator, which draws what they sum over."""

from dataclasses import replace

import numpy as np
import pytest

from async_envs.tabular.exact.padded import padded
from async_envs.tabular.exact.proxies import with_proxies
from async_envs.tabular.exact.solve import evaluate, marginals, random_policy
from async_envs.tabular.simulator import TabularSimulator
from tests.async_envs.tabular.exact.tasks import random_task

N_EPISODES, HORIZON = 2000, 30


def labels(simulator):
    """[B] the states (s, ongoing) of all episodes."""
    now = simulator.now
    rows = zip(now.state.tolist(), now.action.tolist(), now.left.tolist())
    return [(s, tuple((a, k) if k else None for a, k in zip(doing, left))) for s, doing, left in rows]


def drawn(policy, numbers, rng):
    """[B, N] int64: an action of each agent, by its probability."""
    thresholds = policy[numbers].cumsum(-1)
    return (rng.random(thresholds.shape[:2])[..., None] >= thresholds / thresholds[..., -1:]).sum(-1)


@pytest.mark.parametrize("features", [
    {"random_durations": True, "discount": 0.7},
    {"inactive": True, "interrupts": True, "unavailable": True, "terminal": False, "discount": 0.7},
    {"n_agents": 3, "longest": 2, "random_durations": True, "interrupts": True, "discount": 0.7},
])
def test_states_and_returns_of_simulated_episodes_have_the_exact_distribution(features):
    """Frequencies of states in each of the first steps, and the mean discounted return, to 5 standard errors.

    What the horizon cuts off the return is below 0.7^30 7 = 2e-4.
    """
    task = replace(random_task(np.random.default_rng(21), **features), episode_limit=HORIZON)
    model = padded(task)
    policy = random_policy(model, np.random.default_rng(22))
    number_of = {label: x for x, label in enumerate(model.states)}
    exact = marginals(model, policy, HORIZON)[0]
    simulator = TabularSimulator("random", N_EPISODES, task)
    simulator.reset(list(range(N_EPISODES)))
    rng = np.random.default_rng(23)
    for t in range(HORIZON):
        numbers = np.array([number_of[label] for label in labels(simulator)])
        frequencies = np.bincount(numbers, minlength=len(model.states)) / N_EPISODES
        # 5 standard errors, and as much as one episode more for states that hardly happen
        error = np.sqrt(exact[t] * (1 - exact[t]) / N_EPISODES)
        assert (abs(frequencies - exact[t]) <= 5 * error + 1 / N_EPISODES).all()
        over = simulator.terminated | simulator.truncated
        assert (over == task.terminal[simulator.now.state]).all()
        if over.all():
            break
        simulator.step(np.where(over[:, None], 0, drawn(policy, numbers, rng)))
    returns = simulator.metrics["discounted_return"].astype(np.float64)
    error = returns.std() / np.sqrt(N_EPISODES)
    assert abs(model.start @ evaluate(model, policy)[0] - returns.mean()) < 5 * error + 3e-4


def test_what_an_agent_saw_at_its_decision_has_the_distribution_of_the_kept_memory():
    """The simulator's observation in the state of the decision, remembered while the action lasts."""
    task = random_task(np.random.default_rng(31), n_observations=3, random_durations=True, longest=4)
    model = with_proxies(task)
    policy = random_policy(model, np.random.default_rng(32))
    number_of = {label: x for x, label in enumerate(model.states)}
    exact = marginals(model, policy, 4)[0]
    simulator = TabularSimulator("random", N_EPISODES, task)
    simulator.reset(list(range(N_EPISODES)))
    rng, seen = np.random.default_rng(33), np.zeros((N_EPISODES, task.n_agents), np.int64)
    for t in range(4):
        executes = simulator.now.left > 0
        kept = np.where(executes, seen, -1).tolist()
        remembered = [tuple(None if o < 0 else o for o in row) for row in kept]
        numbers = np.array([number_of[label] for label in zip(labels(simulator), remembered)])
        frequencies = np.bincount(numbers, minlength=len(model.states)) / N_EPISODES
        error = np.sqrt(exact[t] * (1 - exact[t]) / N_EPISODES)
        assert (abs(frequencies - exact[t]) <= 5 * error + 1 / N_EPISODES).all()
        over = simulator.terminated | simulator.truncated
        seen = np.where(executes, seen, simulator.now.seen)
        simulator.step(np.where(over[:, None], 0, drawn(policy, numbers, rng)))
    assert len(set(remembered)) > 5
