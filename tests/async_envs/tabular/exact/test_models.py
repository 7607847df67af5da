"""The two models against states, pairs and probabilities worked out by hand."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from async_envs.tabular.exact import model as model_module
from async_envs.tabular.exact import padded as padded_module
from async_envs.tabular.exact import proxies as proxies_module
from async_envs.tabular.exact.correspondence import correspondence
from async_envs.tabular.exact.padded import padded
from async_envs.tabular.exact.proxies import with_proxies
from tests.async_envs.tabular.exact.tasks import matrix_game, random_task, task_of, work_or_wait

FEATURES = [
    {},
    {"random_durations": True},
    {"inactive": True, "interrupts": True, "unavailable": True},
    {"n_agents": 3, "n_states": 2, "longest": 2, "random_durations": True, "interrupts": True},
    {"n_states": 4, "n_observations": 3, "random_durations": True, "inactive": True, "terminal": False},
]


def rows(model):
    """Transitions as {(label, joint action): {label: probability}}."""
    return {
        (model.states[x], tuple(joint)): {model.states[y]: row[y] for y in np.flatnonzero(row)}
        for x, joint, row in zip(model.pair_state, model.joint_actions.tolist(), model.transitions)
    }


def alternating():
    """Two agents, states 0 and 1 in turn whatever is done; the one action takes three steps. Entering state 1
    interrupts agent 0, and agent 1 is inactive there. Agent 0 sees 0 or 1 in state 1 with 0.3 and 0.7.
    """
    transitions = np.zeros((2, 2, 2, 2))
    transitions[0, :, :, 1] = transitions[1, :, :, 0] = 1.0
    observations = np.zeros((2, 2, 2))
    observations[..., 0] = 1.0
    observations[1, 0] = 0.3, 0.7
    durations = np.zeros((2, 1, 3))
    durations[..., 2] = 1.0
    return task_of(transitions, np.zeros((2, 2, 2)), durations, observations=observations,
                   interrupts=np.array([[False, False], [True, False]]),
                   inactive=np.array([[False, False], [False, True]]))


def three_steps():
    """One agent, one action of three steps, one state; it sees 0 or 1 with 0.3 and 0.7."""
    durations = np.array([[[0.0, 0.0, 1.0]]])
    return task_of(np.ones((1, 2, 1)), np.zeros((1, 2)), durations, observations=np.array([[[0.3, 0.7]]]))


def test_states_are_numbered_with_what_is_left_of_every_action():
    model = padded(work_or_wait())
    assert model.states == ((0, (None,)), (0, ((1, 1),)), (1, (None,)))
    assert model.joint_actions.tolist() == [[2], [3], [1], [2]]
    assert model.pair_state.tolist() == [0, 0, 1, 2]
    assert model.rewards.tolist() == [1.0, 0.0, 5.0, 2.0]
    assert model.transitions.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert model.start.tolist() == [1, 0, 0]
    assert model.decides.tolist() == [[True], [False], [True]]
    assert (model.n_agents, model.n_actions, model.discount) == (1, 4, 0.5)


def test_interrupts_and_inactivity_end_an_action_early():
    both, one, busy = (0, (None, None)), (1, (None, None)), (0, ((0, 2), None))
    expected = {(both, (2, 2)): {one: 1.0}, (one, (2, 0)): {busy: 1.0}, (busy, (1, 2)): {one: 1.0}}
    model = padded(alternating())
    assert rows(model) == expected
    assert model.decides.tolist() == [[True, True], [True, False], [False, True]]


def test_the_proxy_of_an_executing_agent_replays_its_decision_and_sees_what_it_saw():
    both, one = ((0, (None, None)), (None, None)), ((1, (None, None)), (None, None))
    busy = [((0, ((0, 2), None)), (o, None)) for o in (0, 1)]
    assert rows(with_proxies(alternating())) == {
        (both, (2, 2, 0, 0)): {one: 1.0},
        (one, (2, 0, 0, 0)): {busy[0]: pytest.approx(0.3), busy[1]: pytest.approx(0.7)},
        (busy[0], (1, 2, 2, 0)): {one: 1.0},
        (busy[1], (1, 2, 2, 0)): {one: 1.0},
    }


@pytest.mark.parametrize("memory", ["kept", "printed"])
def test_what_was_seen_is_kept_or_drawn_anew(memory):
    first, second = [[((0, ((0, left),)), (o,)) for o in (0, 1)] for left in (2, 1)]
    law = rows(with_proxies(three_steps(), memory))
    entered, onward = [{label[o]: pytest.approx((0.3, 0.7)[o]) for o in (0, 1)} for label in (first, second)]
    assert law[((0, (None,)), (None,)), (2, 0)] == entered
    for o in (0, 1):
        assert law[first[o], (1, 2)] == ({second[o]: 1.0} if memory == "kept" else onward)


def test_printed_memory_reads_the_state_that_is_entered():
    """Agent 0 sees 0 alone in state 0, and 0 or 1 in state 1, with 0.3 and 0.7."""
    from_one = with_proxies(alternating(), "printed")  # decides in state 1, executes in state 0
    assert from_one.states[2:] == (((0, ((0, 2), None)), (0, None)),)
    nowhere = np.zeros((2, 2), bool)
    from_zero = rows(with_proxies(replace(alternating(), interrupts=nowhere, inactive=nowhere), "printed"))
    busy = [((1, ((0, 2), (0, 2))), (o, 0)) for o in (0, 1)]
    assert from_zero[((0, (None, None)), (None, None)), (2, 2, 0, 0)] == {
        busy[0]: pytest.approx(0.3), busy[1]: pytest.approx(0.7)}


def test_a_random_duration_is_drawn_in_the_step_of_the_decision():
    """Over in one step with 1/4, in two with 3/4; a step earns 1, the last one 10: 10/4 + 3/4 = 3.25."""
    transitions = np.zeros((2, 2, 2))
    transitions[:, 0, 0] = transitions[:, 1, 1] = 1.0  # the last step leads to the terminal state
    durations = np.array([[[0.25, 0.75]]])
    task = task_of(transitions, np.array([[1.0, 10.0], [0.0, 0.0]]), durations, terminal=(1,))
    for model, wrap in ((padded(task), lambda s, o: (s, o)),
                        (with_proxies(task), lambda s, o: ((s, o), (None if o[0] is None else 0,)))):
        undecided, busy, over = wrap(0, (None,)), wrap(0, ((0, 1),)), wrap(1, (None,))
        n_slots = model.joint_actions.shape[1]
        law = rows(model)
        assert law[undecided, (2, 0)[:n_slots]] == {busy: 0.75, over: 0.25}
        assert law[busy, (1, 2)[:n_slots]] == {over: 1.0}
        assert model.rewards.tolist() == [3.25, 10.0]
        assert not any(label == over for label, _ in law)


def test_pairs_of_a_state_count_up_with_the_last_agent_fastest():
    for model in (padded(matrix_game([[1, 2], [3, 4]])), with_proxies(matrix_game([[1, 2], [3, 4]]))):
        assert model.joint_actions[:, :2].tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]
        assert model.rewards.tolist() == [1, 2, 3, 4]


def test_states_that_no_action_reaches_are_left_out():
    transitions = np.zeros((3, 2, 3))
    transitions[..., 0] = 1.0
    task = task_of(transitions, np.zeros((3, 2)), np.array([[[1.0]]]))
    assert padded(task).states == ((0, (None,)),)
    assert with_proxies(task).states == (((0, (None,)), (None,)),)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("memory", ["kept", "printed"])
def test_the_models_agree_once_the_proxies_are_dropped(features, memory):
    """Definition 1: r^ = r, and P^ summed over õ' is P, at every pair; starts and ends agree as well."""
    rng = np.random.default_rng(5)
    for _ in range(6):
        task = random_task(rng, **features)
        base, extended = padded(task), with_proxies(task, memory)
        state_of, pair_of = correspondence(extended, base)
        summed = np.zeros((len(extended.rewards), len(base.states)))
        np.add.at(summed.T, state_of, extended.transitions.T)
        np.testing.assert_allclose(summed, base.transitions[pair_of], atol=1e-12)
        np.testing.assert_allclose(extended.rewards, base.rewards[pair_of], atol=1e-12)
        np.testing.assert_allclose(np.bincount(state_of, extended.start, len(base.states)), base.start)
        assert (extended.decides == base.decides[state_of]).all()
        assert set(state_of) == set(range(len(base.states))) and set(pair_of) == set(range(len(base.rewards)))


@pytest.mark.parametrize("features", FEATURES)
def test_every_model_is_a_well_formed_game(features):
    rng = np.random.default_rng(6)
    for _ in range(6):
        task = random_task(rng, **features)
        for model in (padded(task), with_proxies(task), with_proxies(task, "printed")):
            np.testing.assert_allclose(model.transitions.sum(1), 1.0, atol=1e-9)
            assert len(set(model.states)) == len(model.states)
            assert (np.diff(model.pair_state) >= 0).all()
            assert ((model.start > 0) | (model.transitions > 0).any(0)).all()
            real, virtual = np.split(model.joint_actions, [task.n_agents], axis=1)
            assert ((real >= 2) == model.decides[model.pair_state]).all()
            if virtual.size:
                assert ((virtual >= 2) == (real == 1)).all() and ((virtual == 0) == (real != 1)).all()


def test_the_two_models_share_no_rule():
    """Neither builder imports more of ours than the model's tuple and the task's arrays."""
    for module in (padded_module, proxies_module):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        ours = {node.module for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("async_envs")}
        assert ours == {"async_envs.tabular.exact.model", "async_envs.tabular.task"}


def test_an_unknown_memory_is_refused():
    with pytest.raises(ValueError, match="^with_proxies: memory='lost' is not known. Use one of kept, pri"):
        with_proxies(three_steps(), "lost")


@pytest.mark.parametrize("build", [padded, with_proxies])
def test_a_model_that_is_too_large_is_refused_in_one_line(build, monkeypatch):
    monkeypatch.setattr(model_module, "MOST_STATES", 3)
    with pytest.raises(ValueError, match="^exact model: .* at most 3 are solved exactly. Use") as raised:
        build(random_task(np.random.default_rng(0)))
    assert "\n" not in str(raised.value)
    monkeypatch.setattr(model_module, "MOST_STATES", 20_000)
    monkeypatch.setattr(model_module, "MOST_ENTRIES", 30)
    with pytest.raises(ValueError, match="their product may be 30"):
        build(random_task(np.random.default_rng(0)))


def test_models_of_different_tasks_do_not_correspond():
    with pytest.raises(ValueError, match="^correspondence: state 0 of the model with proxies has no c"):
        correspondence(with_proxies(matrix_game([[1, 2], [3, 4]])), padded(work_or_wait()))
