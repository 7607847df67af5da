"""Definition 1 and its footnote: proxies add to what is seen and done, and change nothing in the task.

Paper: Liang, Wu, Wang, Cai, arXiv:2408.03692v2, section 4.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP
from async_envs.tabular.exact.model import Model
from async_envs.tabular.exact.solve import lift, marginals, random_policy, trajectory_distribution
from async_envs.tabular.simulator import TabularSimulator
from async_envs.tabular.task import TabularTask
from plugins.vsp.environment import VSP
from tests.theory.models import Pair, assert_close, both, values_scale
from tests.theory.strategies import SEEDS, tasks
from tests.toy import random_actions

MEMORIES = st.sampled_from(("kept", "printed"))
BATCH, EPISODES = 4, 2
SHARED = ("reward", "terminated", "truncated", "t", "decisions", "state")


def proxies_actions(proxied: VSP, n_agents: int) -> np.ndarray:
    """[B, N]: the one action that each proxy has."""
    assert (proxied.avail_actions[:, n_agents:].sum(-1) == 1).all()
    return proxied.avail_actions[:, n_agents:].argmax(-1)


@given(task=tasks(), seed=SEEDS, play=SEEDS)
def test_rewards_returns_and_ends_are_those_of_the_task_bit_for_bit(
    task: TabularTask, seed: int, play: int
) -> None:
    """Definition 1, footnote 1: r^(s^, â) = r(s, a), and the real part of P^ is P.

    Path by path: under equal seeds and equal actions of the real agents, the simulator under VSP pays, ends
    and shows the same in every step.
    """
    plain = TabularSimulator("random", BATCH, task)
    proxied = VSP(TabularSimulator("random", BATCH, task))
    rng = np.random.default_rng(play)
    for episode in range(EPISODES):
        seeds = [(seed + BATCH * episode + b) % 2**64 for b in range(BATCH)]
        plain.reset(seeds)
        proxied.reset(seeds)
        returns = np.zeros((2, BATCH))
        while not (plain.terminated | plain.truncated).all():
            actions = random_actions(plain, rng)
            plain.step(actions)
            proxied.step(np.concatenate([actions, proxies_actions(proxied, task.n_agents)], 1))
            returns += plain.reward, proxied.reward
            for name in SHARED:
                np.testing.assert_array_equal(getattr(proxied, name), getattr(plain, name))
            np.testing.assert_array_equal(proxied.obs[:, : task.n_agents], plain.obs)
            np.testing.assert_array_equal(proxied.avail_actions[:, : task.n_agents], plain.avail_actions)
        np.testing.assert_array_equal(returns[0], returns[1])
        for name, values in plain.metrics.items():
            np.testing.assert_array_equal(proxied.metrics[name], values)


@given(task=tasks(), seed=SEEDS, play=SEEDS)
def test_a_proxy_sees_and_does_what_its_agent_saw_and_chose(task: TabularTask, seed: int, play: int) -> None:
    """Definition 1: a proxy of an executing agent receives õ and selects ã; the others are masked."""
    proxied = VSP(TabularSimulator("random", 1, task))
    rng, n_agents = np.random.default_rng(play), task.n_agents
    for episode in range(BATCH * EPISODES):
        proxied.reset([seed + episode])
        seen, chosen = np.zeros((n_agents, proxied.obs_dim)), np.zeros(n_agents, int)
        while not (proxied.terminated | proxied.truncated)[0]:
            available = proxied.avail_actions[0, :n_agents]
            executes = available[:, CONTINUE] == 1
            decides = ~executes & (available[:, NOOP] == 0)
            actions = random_actions(proxied, rng)
            np.testing.assert_array_equal(actions[0, n_agents:], np.where(executes, chosen, NOOP))
            np.testing.assert_array_equal(proxied.obs[0, n_agents:], np.where(executes[:, None], seen, 0.0))
            seen[decides], chosen[decides] = proxied.obs[0, :n_agents][decides], actions[0, :n_agents][decides]
            proxied.step(actions)


def rows_over_states(pair: Pair) -> np.ndarray:
    """[P^, X]: the probability of arriving in the set X_s' of each s', from each pair with proxies."""
    rows = np.zeros((len(pair.vsp.rewards), len(pair.dec.states)))
    np.add.at(rows.T, pair.state_of, pair.vsp.transitions.T)
    return rows


@given(task=tasks(), memory=MEMORIES)
def test_rewards_and_transitions_of_the_two_models_correspond(task: TabularTask, memory: str) -> None:
    """Definition 1 in the proof of Lemma 1: P^(X_s' | Y_(s, a)) = P(s' | s, a) and r^(Y_(s, a)) = r(s, a).

    Exact, for every pair of every s^. Either reading of O_P will do.
    """
    pair = both(task, memory)
    assert_close(rows_over_states(pair), pair.dec.transitions[pair.pair_of], tolerance=1e-12)
    assert_close(pair.vsp.rewards, pair.dec.rewards[pair.pair_of], values_scale(pair.dec), tolerance=1e-12)
    start = np.bincount(pair.state_of, weights=pair.vsp.start, minlength=len(pair.dec.states))
    assert_close(start, pair.dec.start, tolerance=1e-12)


@given(task=tasks(), memory=MEMORIES)
def test_every_extended_state_offers_the_choices_of_its_state(task: TabularTask, memory: str) -> None:
    """Definition 1: â = [a; ã_c]. A proxy has no choice, so s^ offers exactly the joint actions of s."""
    dec, vsp, state_of, pair_of = both(task, memory)
    np.testing.assert_array_equal(dec.pair_state[pair_of], state_of[vsp.pair_state])
    assert len(set(zip(vsp.pair_state.tolist(), pair_of.tolist()))) == len(pair_of)
    choices_of = np.bincount(dec.pair_state, minlength=len(dec.states))
    np.testing.assert_array_equal(np.bincount(vsp.pair_state, minlength=len(vsp.states)), choices_of[state_of])
    np.testing.assert_array_equal(vsp.decides, dec.decides[state_of])


@given(task=tasks(), memory=MEMORIES)
def test_the_models_proxies_are_masked_unless_their_agent_executes(task: TabularTask, memory: str) -> None:
    """Definition 1: pairs <i_c, i'_c> of executing agents alone; a proxy selects its agent's ongoing action."""
    vsp = both(task, memory).vsp
    n_agents = vsp.n_agents
    for x, joint in zip(vsp.pair_state.tolist(), vsp.joint_actions):
        (_, ongoing), seen = vsp.states[x]  # type: ignore[misc]
        for i in range(n_agents):
            expected = NOOP if ongoing[i] is None else FIRST_ACTION + ongoing[i][0]
            assert joint[n_agents + i] == expected
            assert (seen[i] is None) == (ongoing[i] is None) == (joint[i] != CONTINUE)


@given(task=tasks(most_extended=60), memory=MEMORIES)
def test_the_models_proxies_see_what_an_agent_may_have_seen(task: TabularTask, memory: str) -> None:
    """Definition 1: õ_i follows O at the state of the decision, or, in the formula of P^, at s' in every step.

    Given the next s and what goes on there, for every agent that has just decided.
    """
    _, vsp, state_of, _ = both(task, memory)
    for x, row in zip(vsp.pair_state.tolist(), vsp.transitions):
        for i in np.flatnonzero(vsp.decides[x]).tolist():
            laws: dict[int, np.ndarray] = {}
            for y in np.flatnonzero(row).tolist():
                seen = vsp.states[y][1][i]  # type: ignore[index]
                if seen is not None:
                    law = laws.setdefault(int(state_of[y]), np.zeros(task.n_observations))
                    law[seen] += row[y]
            for law, target in zip(laws.values(), laws):
                s = vsp.states[x][0][0] if memory == "kept" else underlying(vsp, state_of, target)
                assert_close(law / law.sum(), task.observations[s, i], tolerance=1e-12)


def underlying(vsp: Model, state_of: np.ndarray, target: int) -> int:
    """The task's state of a padded state."""
    label = vsp.states[int(np.argmax(state_of == target))]
    return int(label[0][0])  # type: ignore[index]


@given(task=tasks(most_extended=60), memory=MEMORIES, policy_seed=SEEDS)
def test_the_marginal_distribution_of_trajectories_is_that_of_the_task(
    task: TabularTask, memory: str, policy_seed: int
) -> None:
    """Definition 1: with õ_c and ã_c left out, an episode under a policy of s is distributed as without proxies.

    By listing every trajectory of two steps, with all rewards on it, and by the law of the state over ten.
    """
    dec, vsp, state_of, _ = both(task, memory)
    policy = random_policy(dec, np.random.default_rng(policy_seed))
    lifted = lift(policy, state_of)
    plain, proxied = trajectory_distribution(dec, policy, 2), trajectory_distribution(vsp, lifted, 2)
    assert plain.keys() == proxied.keys()
    for trajectory, flow in plain.items():
        assert proxied[trajectory].probability == pytest.approx(flow.probability, rel=0, abs=1e-12)
        for rewards in (proxied[trajectory].lowest, proxied[trajectory].highest, flow.highest):
            assert rewards == pytest.approx(flow.lowest, rel=0, abs=1e-12)
    states, rewards = marginals(dec, policy, 10)
    hat_states, hat_rewards = marginals(vsp, lifted, 10)
    together = np.stack([np.bincount(state_of, weights=row, minlength=states.shape[1]) for row in hat_states])
    assert_close(together, states, tolerance=1e-12)
    assert_close(hat_rewards, rewards, values_scale(dec), tolerance=1e-12)
