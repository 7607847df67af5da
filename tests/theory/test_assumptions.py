"""What the paper's statements about VSP need and do not say: a kept counterexample for each, or a property.

The letters (a) to (j) are those of docs/theory.md. Paper: Liang, Wu, Wang, Cai, arXiv:2408.03692v2.
"""

from typing import Callable

import numpy as np
import pytest
from hypothesis import given

from async_envs.core.simulator import CONTINUE, FIRST_ACTION
from async_envs.tabular.exact.model import Model, allowed_actions, policy_of_pairs
from async_envs.tabular.exact.padded import padded
from async_envs.tabular.exact.solve import (
    bellman_optimality,
    equilibria,
    evaluate,
    find_equilibrium,
    greedy,
    is_equilibrium,
    lift,
    marginals,
    optimal,
)
from async_envs.tabular.simulator import TabularSimulator
from async_envs.tabular.task import TabularTask, make_task
from tests.theory.models import both
from tests.theory.projection import additive, columns, error
from tests.theory.small_tasks import (
    LONG,
    SHORT,
    clock,
    echo,
    invest,
    matrix_game,
    row_then_column,
    staying,
    two_ways,
)
from tests.theory.strategies import enumerable_tasks, tasks

COORDINATION = [[0.5, 0.0], [0.0, 1.0]]
CLIMBING = [[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]]  # Claus and Boutilier, AAAI 1998
PRODUCT = [[1.0, 2.0], [2.0, 4.0]]  # Figure 9 with a = 1, b = 2


def policy_by(model: Model, choose: Callable) -> np.ndarray:
    """The deterministic policy in which agent i, deciding at the state of a label, does choose(label, i)."""
    policy = allowed_actions(model).astype(float)
    for x, i in np.argwhere(model.decides).tolist():
        policy[x, i] = 0.0
        policy[x, i, FIRST_ACTION + choose(model.states[x], i)] = 1.0
    return policy


def at(model: Model, *label: object) -> int:
    """The number of a state."""
    return model.states.index(label)


# (a) policies


def test_lemma_1_fails_for_a_policy_that_reads_what_a_proxy_sees() -> None:
    """(a) Lemma 1 for 'a joint policy pi' needs pi to read s alone.

    Agents 1 and 2 play what the proxy of agent 0 sees: two s^ of one s are then worth 1/2 and 1 in this step.
    """
    dec, vsp, state_of, _ = both(clock())
    values, _ = evaluate(vsp, policy_by(vsp, lambda label, i: 0 if i == 0 else label[1][0] or 0))
    free, slot = (0, (None,) * 3), (0, 1)
    on_0, on_1 = [at(vsp, (0, (slot, None, None)), (cue, None, None)) for cue in (0, 1)]
    assert state_of[on_0] == state_of[on_1]
    assert values[on_1] - values[on_0] == pytest.approx(0.5)
    assert state_of[at(vsp, free, (None,) * 3)] == at(dec, *free)


def remembering(vsp: Model) -> Model:
    """The model whose states also hold what each agent saw at its last decision of more than one step."""
    labels: list[tuple] = [(label, (None,) * vsp.n_agents) for label, p in zip(vsp.states, vsp.start) if p > 0]
    numbers = {label: x for x, label in enumerate(vsp.states)}
    pairs: list[tuple[int, int, dict[int, float]]] = []
    for x, (label, memory) in enumerate(labels):  # grows while it is read
        for p in np.flatnonzero(vsp.pair_state == numbers[label]).tolist():
            row: dict[int, float] = {}
            for y in np.flatnonzero(vsp.transitions[p]).tolist():
                seen = vsp.states[y][1]  # type: ignore[index]
                grown = (vsp.states[y], tuple(m if o is None else o for m, o in zip(memory, seen)))
                labels += [] if grown in labels else [grown]
                row[labels.index(grown)] = float(vsp.transitions[p, y])
            pairs.append((x, p, row))
    old = np.array([p for _, p, _ in pairs])
    transitions = np.zeros((len(pairs), len(labels)))
    for k, (_, _, row) in enumerate(pairs):
        transitions[k, list(row)] = list(row.values())
    return vsp._replace(
        states=tuple(labels),
        start=np.array([vsp.start[numbers[label]] if memory == (None,) * vsp.n_agents else 0.0
                        for label, memory in labels]),
        pair_state=np.array([x for x, _, _ in pairs]),
        joint_actions=vsp.joint_actions[old],
        transitions=transitions,
        rewards=vsp.rewards[old],
        decides=vsp.decides[[numbers[label] for label, _ in labels]],
    )


def test_lemma_1_fails_for_policies_of_the_history() -> None:
    """(a) … although section 3.1 lets pi_i read the history tau_i of actions and observations.

    Agent 0 repeats what it saw before: Q^pi_VSP is 0 where its proxy sees 0, and the discount where it sees 1. Q^pi of
    s lies between; it is the mean over õ, so the lemma holds in expectation.
    """
    dec, vsp, state_of, _ = both(echo())
    model = remembering(vsp)
    values, _ = evaluate(model, policy_by(model, lambda label, i: 1 if label[0][0][0] == 0 and i == 0
                                          else (label[1][0] or 0) if i == 0 else 0))  # fmt: skip
    second = (1, ((LONG, 1), None))
    on_0, on_1 = [at(model, (second, (cue, None)), (cue, None)) for cue in (0, 1)]
    assert (values[on_0], values[on_1]) == (0.0, pytest.approx(0.5))
    coin = allowed_actions(dec).astype(float)
    coin /= coin.sum(2, keepdims=True)
    mean = evaluate(dec, coin)[0][at(dec, *second)]
    assert mean == pytest.approx((values[on_0] + values[on_1]) / 2) == pytest.approx(0.25)
    assert len(set(state_of[[at(vsp, second, (cue, None)) for cue in (0, 1)]].tolist())) == 1


# (b) what a proxy sees


@given(task=tasks())
def test_kept_observations_stay_while_an_action_goes_on(task: TabularTask) -> None:
    """(b) Definition 1 in words: õ is the most recent observation upon which the agent decided."""
    assert changes_of_sight(both(task, "kept").vsp) == 0.0


def changes_of_sight(vsp: Model) -> float:
    """The largest probability that some proxy sees something else while its agent's action goes on."""
    largest = 0.0
    for x, row in zip(vsp.pair_state.tolist(), vsp.transitions):
        (_, before), seen = vsp.states[x]  # type: ignore[misc]
        changed = 0.0
        for y in np.flatnonzero(row).tolist():
            (_, after), now = vsp.states[y]  # type: ignore[misc]
            goes_on = [b is not None and b[1] > 1 and a is not None for b, a in zip(before, after)]
            changed += row[y] * any(on and o != o_next for on, o, o_next in zip(goes_on, seen, now))
        largest = max(largest, changed)
    return largest


def test_the_printed_transition_forgets_what_was_seen_at_the_decision() -> None:
    """(b) P^ = O_P(õ'_c|s') P(s'|s, a), read as printed, draws õ anew in every step.

    With a fair coin as the observation and an action of three steps, the proxy's sight changes within the action
    with probability 1/2. The pair (s, õ) is another process, though s alone is not (property 1 holds for both).
    """
    task = clock(n_steps=3)
    assert changes_of_sight(both(task, "kept").vsp) == 0.0
    assert changes_of_sight(both(task, "printed").vsp) == 0.5


def test_no_law_of_what_a_proxy_sees_depends_on_the_state_alone() -> None:
    """(b) O_P(õ_c|s) does not exist as a function of s: which decision led to s depends on the policy.

    Under two policies the same s is reached for sure at some time, with õ = 0 and with õ = 1.
    """
    dec, vsp, state_of, _ = both(two_ways())
    executing = (2, ((LONG, 1), None))
    for first, seen, step in ((LONG, 0, 1), (SHORT, 1, 2)):
        policy = policy_by(dec, lambda label, i: (first if label[0] == 0 else LONG) if i == 0 else 0)
        states, _ = marginals(vsp, lift(policy, state_of), step)
        assert states[step, at(vsp, executing, (seen, None))] == 1.0


# (c) the correspondence


@given(task=tasks())
def test_states_correspond_to_disjoint_sets_that_are_not_empty(task: TabularTask) -> None:
    """(c) The 'one-to-one correspondence between s and X_s' in the proof of Lemma 1 is one between sets.

    Every reachable s has an s^, every (s, a) an (s^, â), and no s^ has two s.
    """
    dec, vsp, state_of, pair_of = both(task)
    assert len(state_of) == len(vsp.states) >= len(dec.states)
    assert set(state_of.tolist()) == set(range(len(dec.states)))
    assert set(pair_of.tolist()) == set(range(len(dec.rewards)))


def test_one_state_may_have_two_extended_states() -> None:
    """(c) … not one between points: s^ cannot be told from s."""
    dec, vsp, state_of, _ = both(clock())
    assert (len(dec.states), np.bincount(state_of).tolist()) == (2, [1, 2])
    assert len(vsp.states) == 3


# (d) ties


def test_value_iteration_reaches_another_equilibrium_if_ties_are_broken_otherwise() -> None:
    """(d) Theorem 1 (2) needs ties to be broken alike in both models, and by all agents together.

    The lowest and the highest best joint action are two MPE; the one's agent 0 with the other's agent 1 is none.
    """
    dec = padded(matrix_game([[1.0, 0.0], [0.0, 1.0]]))
    lowest, highest = policy_of_pairs(dec, np.array([0])), policy_of_pairs(dec, np.array([3]))
    np.testing.assert_array_equal(greedy(dec, optimal(dec)), lowest)
    assert optimal(dec)[0] == optimal(dec)[3]
    assert is_equilibrium(dec, lowest) and is_equilibrium(dec, highest)
    mixed = np.stack([lowest[:, 0], highest[:, 1]], 1)
    assert not is_equilibrium(dec, mixed)
    assert evaluate(dec, mixed)[0][0] == 0.0


# (e) the projection


def test_where_utilities_do_not_see_the_ongoing_action_proxies_fit_strictly_better() -> None:
    """(e) f_VSP = f_Dec + 0 * (sum of Q_i') is attainable, and then not the least-squares optimum.

    Figure 9, second step, utilities that see the step alone. Without proxies the best additive fit is the mean over
    the row's choice, 1.5 and 3: error 1/4 + 1/4 + 1 + 1. With the row's proxy it is additive in both: 4 * 1/16.
    """
    without, with_row = errors_of_the_second_step(PRODUCT, np.ones(4))
    assert without[0] == pytest.approx(2.5)
    assert with_row[0] == pytest.approx(0.25)


def errors_of_the_second_step(
    matrix: list[list[float]], weights: np.ndarray
) -> tuple[tuple[float, np.ndarray], tuple[float, np.ndarray]]:
    """(error, fit [4]) of the additive class without and with the row's proxy, in the step in which it executes.

    Args:
        weights: [4] of (row, column) = (0, 0), (0, 1), (1, 0), (1, 1).
    """
    dec, vsp, _, pair_of = both(row_then_column(matrix))
    underlying = np.array([label[0][0] for label in vsp.states])[vsp.pair_state]  # type: ignore[index]
    rows = np.flatnonzero(underlying == 1)
    slots = vsp.joint_actions[rows]  # row, column, the row's proxy, the column's
    target = optimal(dec)[pair_of[rows]]
    assert target.tolist() == [value for row in matrix for value in row]
    fits = [additive(part, np.zeros(4, int), weights)(target) for part in (slots[:, :2], slots)]
    return (error(target, fits[0], weights), fits[0]), (error(target, fits[1], weights), fits[1])


def test_so_the_projected_policy_may_differ_with_proxies() -> None:
    """(e) Then T_VSP need not lead where T_Dec leads: the error is no larger, the greedy policy is another.

    The column's second action is better by 1 whatever the row does; the row's first pays 10 more, and in the data
    goes with the column's first, nine times of ten. Without a proxy the column is credited for it.
    """
    (_, without), (remaining, with_row) = errors_of_the_second_step(
        [[10.0, 11.0], [0.0, 1.0]], np.array([9.0, 1.0, 1.0, 9.0])
    )
    assert without[:2] == pytest.approx([9.0, 2.0])  # the column picks its first action
    assert remaining == pytest.approx(0.0, abs=1e-20)
    assert with_row[:2] == pytest.approx([10.0, 11.0])  # … and its second


def test_unweighted_least_squares_over_extended_states_is_another_projection() -> None:
    """(e) Definition 5 names no weights. With weight 1 for every pair, an s with two s^ counts twice.

    Utilities that see no state, proxies left out: f_Dec is not the nearest member with proxies.
    """
    dec, vsp, _, pair_of = both(row_then_column(PRODUCT, cue=True))
    target = optimal(dec)
    everywhere = np.zeros(len(target), int), np.ones(len(target))
    fit = additive(dec.joint_actions, *everywhere)(target)
    slots = vsp.joint_actions[:, : vsp.n_agents]
    hat_fit = additive(slots, np.zeros(len(pair_of), int), np.ones(len(pair_of)))(target[pair_of])
    assert np.abs(hat_fit - fit[pair_of]).max() > 0.01
    shares = 1.0 / np.bincount(pair_of)[pair_of]  # weights of Y_(s, a) that add up to 1
    np.testing.assert_allclose(additive(slots, np.zeros(len(pair_of), int), shares)(target[pair_of]), fit[pair_of])


def test_the_utilities_of_the_nearest_additive_function_are_not_unique() -> None:
    """(e) Pi_VD fixes Q_tot, not the Q_i: a constant may move from one utility to another."""
    design = columns(padded(matrix_game(PRODUCT)).joint_actions)
    assert np.linalg.matrix_rank(design) < design.shape[1]


def test_the_value_decomposition_operator_may_settle_where_no_equilibrium_is() -> None:
    """(e) 'Assuming that T*_Dec converges to the MPE' is needed: in the climbing game it does not.

    The additive fit prefers the third action of both, which pays 5; agent 0's second would pay 6.
    """
    dec = padded(matrix_game(CLIMBING))
    project = additive(dec.joint_actions, dec.pair_state, np.ones(9))
    q = np.zeros(9)
    for _ in range(60):
        before, q = q, project(bellman_optimality(dec, q))
    np.testing.assert_allclose(q, before, atol=1e-9)
    assert greedy(dec, q)[0].argmax(-1).tolist() == [FIRST_ACTION + 2, FIRST_ACTION + 2]
    assert not is_equilibrium(dec, greedy(dec, q))


# (f) equilibria and optima


def test_an_equilibrium_need_not_be_optimal() -> None:
    """(f) Definition 2's MPE may be bad: nobody gains alone by leaving 0 and 0, and 1 and 1 pays twice as much."""
    dec = padded(matrix_game(COORDINATION))
    bad = policy_of_pairs(dec, np.array([0]))
    assert equilibria(dec).tolist() == [True, False, False, True]
    assert evaluate(dec, bad)[0][0] == pytest.approx(1.0)
    assert evaluate(dec, greedy(dec, optimal(dec)))[0][0] == pytest.approx(2.0)
    np.testing.assert_array_equal(find_equilibrium(dec, start=bad), bad)  # best responses stay there


@given(task=enumerable_tasks(bounds=(1_000,)))
def test_the_greedy_policy_of_the_optimal_values_is_an_equilibrium_that_none_surpasses(task: TabularTask) -> None:
    """(f) T* converges to Q*, and its greedy policy is an MPE: the best one, at every state."""
    dec = padded(task)
    best = greedy(dec, optimal(dec))
    assert is_equilibrium(dec, best, tolerance=1e-7)
    found = find_equilibrium(dec, np.random.default_rng(0))
    assert (evaluate(dec, found)[0] <= evaluate(dec, best)[0] + 1e-7).all()


# (g) the horizon


def test_without_discounting_there_is_no_fixed_point() -> None:
    """(g) gamma < 1 is used: at 1 the operator adds the reward of 1 for ever. Tasks with gamma = 1 are refused."""
    dec = padded(matrix_game([[1.0, 1.0], [1.0, 1.0]]))._replace(discount=1.0)
    q = np.zeros(4)
    for n in range(1, 4):
        q = bellman_optimality(dec, q)
        assert q.tolist() == [float(n)] * 4
    with pytest.raises(ValueError, match="discount"):
        make_task(
            "undiscounted", transitions=staying(1, 2, 2), rewards=np.zeros((1, 2, 2)), durations=[[1, 1]] * 2,
            observations=[[0, 0]], start=0, episode_limit=1, discount=1.0,
        )  # fmt: skip


def test_a_step_limit_that_the_state_does_not_show_makes_values_depend_on_the_time() -> None:
    """(g) The state of Definition 1 must hold the clock if episodes are cut off; the exact models have no limit.

    Without a limit the investment of three steps is best; in an episode of two it earns nothing, with any proxies.
    """
    dec = padded(invest(episode_limit=2))
    assert greedy(dec, optimal(dec))[0, 0].argmax() == FIRST_ACTION + LONG
    earned = {}
    for action in (SHORT, LONG):
        simulator = TabularSimulator("invest", 1, invest(episode_limit=2))
        simulator.reset([0])
        earned[action] = 0.0
        while not simulator.truncated[0]:
            first = FIRST_ACTION + action if simulator.avail_actions[0, 0, CONTINUE] == 0 else CONTINUE
            simulator.step(np.array([[first, FIRST_ACTION]]))
            earned[action] += float(simulator.reward[0])
    assert earned == {SHORT: 2.0, LONG: 0.0}


# (h) the state


def test_a_state_without_the_ongoing_action_is_not_markov() -> None:
    """(h) s must show every ongoing action and what is left of it: else Q(s, a) depends on the policy.

    Figure 9: what the column's second action earns in the second step is 2 or 4 by the row's policy.
    """
    dec = padded(row_then_column(PRODUCT))
    expected = []
    for row in range(2):
        policy = policy_by(dec, lambda label, i: row if i == 0 else 1)
        states, rewards = marginals(dec, policy, 2)
        second = [label[0] == 1 for label in dec.states]  # type: ignore[index]
        assert states[1, second].sum() == 1.0
        expected.append(rewards[1])
    assert expected == [2.0, 4.0]


# (i) equilibria that read the proxies


def test_policies_of_extended_states_have_equilibria_without_counterpart() -> None:
    """(i) Theorem 1 (1) needs policies of s: what a proxy sees can serve two deciding agents as a signal.

    Agents 1 and 2 play what the proxy of agent 0 sees. That is an MPE of the model with proxies, and the lift of no
    policy of s: it acts apart at two s^ of one s, and they are worth 1/2 more and less.
    """
    dec, vsp, state_of, _ = both(clock())
    policy = policy_by(vsp, lambda label, i: 0 if i == 0 else label[1][0] or 0)
    assert is_equilibrium(vsp, policy)
    values, _ = evaluate(vsp, policy)
    signalled = state_of == at(dec, 0, ((0, 1), None, None))
    assert signalled.sum() == 2
    assert np.ptp(values[signalled]) == pytest.approx(0.5)
    assert np.ptp(policy[signalled], axis=0).max() == 1.0
    assert equilibria(vsp).sum() > equilibria(dec).sum()


# (j) the operator


def test_the_optimality_operator_does_not_commute_on_values_that_tell_extended_states_apart() -> None:
    """(j) Lemma 2's Eq. 10 needs Q equal on all of X_s, which a network that sees õ does not start with.

    The limit is the same from any start (test_lemma_2.py); what is passed on the way is not.
    """
    _, vsp, _, pair_of = both(clock(n_steps=3))
    sights = np.array([label[1][0] or 0 for label in vsp.states])[vsp.pair_state]  # type: ignore[index]
    stepped = bellman_optimality(vsp, sights.astype(float))
    low, high = [np.full(pair_of.max() + 1, sign * np.inf) for sign in (1, -1)]
    np.minimum.at(low, pair_of, stepped)
    np.maximum.at(high, pair_of, stepped)
    assert (high - low).max() == pytest.approx(0.5)
