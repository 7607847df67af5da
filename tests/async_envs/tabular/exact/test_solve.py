"""Values, equilibria and trajectories: worked by hand, by brute force, and by playing."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from async_envs.tabular.exact import responses, trajectories
from async_envs.tabular.exact.correspondence import correspondence
from async_envs.tabular.exact.padded import padded
from async_envs.tabular.exact.proxies import with_proxies
from async_envs.tabular.exact.solve import (
    allowed_actions, bellman_evaluation, bellman_optimality, best_response, best_response_value,
    deterministic_policies, deterministic_policy, equilibria, evaluate, find_equilibrium, greedy,
    is_equilibrium, lift, lifted_equilibria, marginals, n_deterministic, optimal, random_policy,
    trajectory_distribution, value_iteration,
)
from tests.async_envs.tabular.exact.tasks import matrix_game, play, random_task, work_or_wait

ALWAYS_A0, ALWAYS_A1 = 0, 1  # the numbers of work_or_wait's two deterministic policies


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def both_models(seed, **features):
    """Padded model, model with proxies and their correspondence, of a random task."""
    task = random_task(np.random.default_rng(seed), **features)
    base, extended = padded(task), with_proxies(task)
    return base, extended, *correspondence(extended, base)


def test_values_of_a_two_step_action_are_those_on_paper():
    """States in order: 0 deciding, 0 with the last step of a1 ahead, 1. The discount is 1/2.

    a1 in state 0:  V0 = 0 + W/2, W = 5 + V1/2, V1 = 2 + V0/2.
                    So V0 = 5/2 + 1/2 + V0/8 = 24/7, W = 48/7, V1 = 26/7.
    a0 in state 0:  V0 = 1 + V0/2 = 2, V1 = 2 + 2/2 = 3, W = 5 + 3/2 = 13/2.
    either, 1/2:    V0 = (1 + V0/2)/2 + (3 + V0/8)/2 = 2 + 5/16 V0 = 32/11.
    """
    model = padded(work_or_wait())
    long, short = deterministic_policy(model, ALWAYS_A1), deterministic_policy(model, ALWAYS_A0)
    close(evaluate(model, long)[0], [24 / 7, 48 / 7, 26 / 7])
    close(evaluate(model, short)[0], [2, 13 / 2, 3])
    close(evaluate(model, (long + short) / 2)[0][0], 32 / 11)
    # pairs: a0 in 0, a1 in 0, continue, a0 in 1
    close(evaluate(model, short)[1], [2, 13 / 4, 13 / 2, 3])
    close(optimal(model), [1 + 12 / 7, 24 / 7, 48 / 7, 26 / 7])
    assert (greedy(model, optimal(model)) == long).all()
    assert equilibria(model).tolist() == [False, True]


def test_bellman_operators_are_those_on_paper():
    """From q = 1, 2, 3, 4 the best values are 2, 3, 4, and those of the even policy 3/2, 3, 4; halved and
    added to the rewards 1, 0, 5, 2 of the states entered (0, busy, 1, 0)."""
    model = padded(work_or_wait())
    even = (deterministic_policy(model, ALWAYS_A0) + deterministic_policy(model, ALWAYS_A1)) / 2
    q = np.array([1.0, 2.0, 3.0, 4.0])
    close(bellman_optimality(model, q), [2, 1.5, 7, 3])
    close(bellman_evaluation(model, q, even), [1.75, 1.5, 7, 2.75])


def test_equilibria_of_a_coordination_game_are_its_diagonal():
    model = padded(matrix_game([[2, 0], [0, 1]]))
    assert equilibria(model).tolist() == [True, False, False, True]
    second = deterministic_policy(model, 3)
    assert is_equilibrium(model, second)
    close(best_response_value(model, second, 0), [1, 0])
    close(optimal(model), [2, 0, 0, 1])
    close(evaluate(model, find_equilibrium(model))[0], [2, 0])
    assert (find_equilibrium(model, start=second) == second).all()


def test_an_equilibrium_is_kept_through_a_tie_and_greedy_takes_the_lowest_pair():
    model = padded(matrix_game([[1, 1], [1, 0]]))
    assert equilibria(model).tolist() == [True, True, True, False]
    assert (greedy(model, optimal(model)) == deterministic_policy(model, 0)).all()


@pytest.mark.parametrize("features", [
    {"random_durations": True, "discount": 0.7},
    {"inactive": True, "interrupts": True, "unavailable": True, "terminal": False, "discount": 0.7},
    {"n_agents": 3, "longest": 2, "random_durations": True, "interrupts": True, "discount": 0.7},
])
def test_value_is_the_mean_return_of_played_episodes(features):
    """Within 5 standard errors; what the horizon cuts off is below 0.7^40 10 = 1e-5."""
    task = random_task(np.random.default_rng(11), **features)
    model = padded(task)
    policy = random_policy(model, np.random.default_rng(12))
    rng = np.random.default_rng(13)
    number_of = {label: x for x, label in enumerate(model.states)}
    returns = np.array([play(task, policy, number_of, rng, horizon=40) for _ in range(2500)])
    error = returns.std() / np.sqrt(len(returns))
    assert abs(model.start @ evaluate(model, policy)[0] - returns.mean()) < 5 * error + 1e-4


def test_optimal_values_are_the_fixed_point_wherever_iteration_begins():
    for seed in range(5):
        model = both_models(seed, random_durations=True)[0]
        q = optimal(model)
        close(bellman_optimality(model, q), q)
        close(value_iteration(model, 100 * np.random.default_rng(seed).normal(size=len(q))), q)
        close(optimal(model, q - 3.0), q)
        close(evaluate(model, greedy(model, q))[1], q)


def test_a_best_response_is_the_best_of_the_agents_own_policies():
    """By enumeration of what one agent can do at every state, against a stochastic partner."""
    for seed in range(4):
        model = both_models(seed, n_states=2, longest=2, random_durations=True)[0]
        policy = random_policy(model, np.random.default_rng(seed))
        for agent in range(2):
            own = [np.flatnonzero(row) for row in allowed_actions(model)[:, agent]]
            values = []
            for actions in product(*own):
                deviation = policy.copy()
                deviation[:, agent] = np.eye(model.n_actions)[list(actions)]
                values.append(evaluate(model, deviation)[0])
            close(best_response_value(model, policy, agent), np.max(values, 0))
            policy[:, agent] = best_response(model, policy, agent)[1]
            close(evaluate(model, policy)[0], np.max(values, 0))


def test_enumerated_equilibria_are_those_that_no_best_response_beats():
    for seed in range(3):
        base, extended, state_of, pair_of = both_models(seed, n_states=2 + seed % 2, longest=2, discount=0.6)
        found = equilibria(base)
        numbers = np.random.default_rng(seed).permutation(len(found))[:40].tolist()
        for number in numbers + np.flatnonzero(found)[:3].tolist():
            policy = deterministic_policy(base, number)
            assert is_equilibrium(base, policy) == found[number]
            assert is_equilibrium(extended, lift(policy, state_of)) == found[number]
        assert (lifted_equilibria(extended, base, state_of, pair_of) == found).all()
        assert found.any()


def test_enumeration_does_not_feel_its_chunks(monkeypatch):
    base, extended, state_of, pair_of = both_models(4, n_states=2, longest=2, terminal=False)
    whole = equilibria(base)
    monkeypatch.setattr("async_envs.tabular.exact.enumeration.CHUNK_ENTRIES", 1)
    assert (equilibria(base) == whole).all()
    assert (lifted_equilibria(extended, base, state_of, pair_of) == whole).all()


def test_policies_are_numbered_with_the_last_state_fastest():
    model = padded(matrix_game([[1, 2], [3, 4]]))
    policies = list(deterministic_policies(model))
    assert n_deterministic(model) == len(policies) == 4
    assert [policy[0].argmax(1).tolist() for policy in policies] == [[2, 2], [2, 3], [3, 2], [3, 3]]
    larger = both_models(0, n_states=2, longest=2, terminal=False)[0]
    assert n_deterministic(larger) == len({policy.tobytes() for policy in deterministic_policies(larger)})


def test_found_equilibria_are_equilibria_from_every_start():
    for seed in range(4):
        base, extended, state_of, _ = both_models(seed, random_durations=True, interrupts=True)
        start = random_policy(base, np.random.default_rng(seed))
        best, rest = find_equilibrium(base), find_equilibrium(base, start=start)
        for policy in (best, rest, find_equilibrium(base, np.random.default_rng(seed))):
            assert is_equilibrium(base, policy)
        close(evaluate(base, best)[1], optimal(base))
        assert (find_equilibrium(extended, start=lift(start, state_of)) == lift(rest, state_of)).all()


def test_a_random_policy_chooses_everything_that_is_allowed_and_nothing_else():
    model = both_models(1, inactive=True, unavailable=True)[0]
    policy = random_policy(model, np.random.default_rng(0))
    assert ((policy > 0) == allowed_actions(model)).all()
    np.testing.assert_allclose(policy.sum(2), 1.0)


def test_trajectories_of_two_steps_are_those_on_paper():
    """Half of the episodes take a0 twice or a0 then a1 in even parts; the others are in the middle of a1."""
    model = with_proxies(work_or_wait())
    even = (deterministic_policy(model, ALWAYS_A0) + deterministic_policy(model, ALWAYS_A1)) / 2
    free, busy, one = (0, (None,)), (0, ((1, 1),)), (1, (None,))
    assert trajectory_distribution(model, even, 2) == {
        (free, (2,), free, (2,), free): (0.25, (1.0, 1.0), (1.0, 1.0)),
        (free, (2,), free, (3,), busy): (0.25, (1.0, 0.0), (1.0, 0.0)),
        (free, (3,), busy, (1,), one): (0.5, (0.0, 5.0), (0.0, 5.0)),
    }


def test_rewards_that_depend_on_what_a_proxy_sees_are_told_apart():
    """A model made wrong on purpose: the last step of a1 pays 5 after observation 0, and 8 after 1."""
    right = with_proxies(replace(work_or_wait(), observations=np.full((2, 1, 2), 0.5)))
    saw_one = np.array([right.states[x][1] == (1,) for x in right.pair_state])
    wrong = right._replace(rewards=right.rewards + 3.0 * saw_one)
    long = greedy(wrong, optimal(wrong))
    trajectory = ((0, (None,)), (3,), (0, ((1, 1),)), (1,), (1, (None,)))
    assert trajectory_distribution(right, long, 2) == {trajectory: (1.0, (0.0, 5.0), (0.0, 5.0))}
    assert trajectory_distribution(wrong, long, 2) == {trajectory: (1.0, (0.0, 5.0), (0.0, 8.0))}


def test_trajectories_and_marginals_agree():
    base, extended, state_of, _ = both_models(3, random_durations=True)
    policy = random_policy(base, np.random.default_rng(3))
    for model, played in ((base, policy), (extended, lift(policy, state_of))):
        flows = trajectory_distribution(model, played, 3)
        states, rewards = marginals(model, played, 3)
        close(sum(flow.probability for flow in flows.values()), 1.0)
        close(sum(flow.probability * sum(flow.lowest) for flow in flows.values()), rewards.sum())
        last = {label: 0.0 for label in base.states}
        for trajectory, flow in flows.items():
            last[trajectory[-1]] += flow.probability
        label_of = np.arange(len(base.states)) if model is base else state_of
        close(list(last.values()), np.bincount(label_of, states[3]))


def test_misuse_is_answered_in_one_line(monkeypatch):
    base, extended, state_of, pair_of = both_models(0)
    policy = random_policy(base, np.random.default_rng(0))
    coordination = padded(matrix_game([[2, 0], [0, 1]]))
    monkeypatch.setattr(responses, "ROUNDS", 0)
    monkeypatch.setattr(trajectories, "MOST_TRAJECTORIES", 3)
    for call, line in [
        (lambda: evaluate(extended, policy), r"policy: its shape is .*, expected \[X, N, A \+ 2\] = .*lift"),
        (lambda: best_response_value(base, policy, 2), "best response: agent 2 does not exist. Use 0 to 1."),
        (lambda: equilibria(base, most=5), "equilibria: the model has .* at most 5 are enumerated. Use fin"),
        (lambda: lifted_equilibria(extended, base, state_of, pair_of, most=5), "at most 5 are enumerated"),
        (lambda: deterministic_policy(coordination, 4), "deterministic policy: number 4 does not exist. Use"),
        (lambda: trajectory_distribution(base, policy, 3), "trajectory_distribution: 3 steps make more tha"),
        (lambda: value_iteration(base, most=2), "value iteration: values still move .* after 2"),
        (lambda: find_equilibrium(base), "find_equilibrium: agents still gain .* after 0 rounds"),
    ]:
        with pytest.raises((ValueError, ArithmeticError), match=line) as raised:
            call()
        assert "\n" not in str(raised.value)
