"""The named tasks, played by hand: rewards, what is seen, and the best returns that README.md claims."""

import numpy as np
import pytest

from async_envs.tabular import instances
from async_envs.tabular.exact.padded import padded
from async_envs.tabular.exact.solve import optimal
from async_envs.tabular.simulator import make

A, B, C = 2, 3, 4
WAIT, CONTINUE = 4, 1
LEFT, RIGHT = 2, 3


def rewards_of(sim, steps):
    """One episode from where it stands; `steps` are the actions of the two agents."""
    found = []
    for actions in steps:
        sim.step([actions])
        found.append(float(sim.reward[0]))
    return found


@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize("row, column, reward", [(A, A, 4), (A, B, -6), (B, A, -6), (B, B, 9)])
def test_payoff_is_the_product_of_the_two_values(row, column, reward, shown):
    """a = 2, b = -3: Figure 9's matrix; nothing is paid at step 0, and the game is over after step 1."""
    sim = make("async:tabular-payoff", "payoff", a=2.0, b=-3.0, shown=shown)
    sim.reset([1])
    assert sim.avail_actions[0].tolist() == [[0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    sim.step([[row, WAIT]])
    assert (sim.reward[0], sim.terminated[0]) == (0.0, False)
    assert sim.avail_actions[0].tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 1, 0]]
    sim.step([[CONTINUE, column]])
    assert (sim.reward[0], sim.terminated[0], sim.truncated[0]) == (reward, True, False)
    assert sim.avail_actions[0].tolist() == [[1, 0, 0, 0, 0]] * 2
    assert sim.metrics["optimal"][0] == (reward == 9)
    assert sim.metrics["discounted_return"][0] == np.float32(0.99 * reward)


def after_the_rows_choice(shown):
    sim = make("async:tabular-payoff", "payoff", batch_size=2, shown=shown)
    sim.reset([1, 2])
    before = sim.obs[:, 1].copy(), sim.state.copy()
    sim.step([[A, WAIT], [B, WAIT]])
    return before, sim.obs[:, 1], sim.state


def test_payoff_hides_the_rows_choice_from_state_and_column():
    """Only the step is to be seen: it differs from step 0, and not between the choices."""
    before, seen, state = after_the_rows_choice(shown=False)
    assert (seen[0] == seen[1]).all() and (state[0] == state[1]).all()
    assert (seen != before[0]).any() and (state[:, :-1] != before[1][:, :-1]).any()


def test_payoff_shows_the_rows_choice_to_both_when_asked_to():
    _, seen, state = after_the_rows_choice(shown=True)
    assert (seen[0] != seen[1]).any() and (state[0] != state[1]).any()


def test_climbing_pays_what_both_are_doing_and_commitment_holds():
    """Row a, column b: -30 twice, then the column joins a while the row's still runs; 4 steps of 11 remain.

    step     0    1    2    3    4    5
    row      a    a    a|   a    a    a|
    column   b    b|   a    a    a|   a (cut off by the end)
    reward  -30  -30   11   11   11   11
    """
    sim = make("async:tabular-climbing", "climbing")
    sim.reset([1])
    steps = [(A, B), (CONTINUE, CONTINUE), (CONTINUE, A), (A, CONTINUE), (CONTINUE, CONTINUE), (CONTINUE, A)]
    assert rewards_of(sim, steps) == [-30, -30, 11, 11, 11, 11]
    assert sim.terminated[0] and sim.metrics["optimal"][0] == 0
    expected = -30 - 30 * 0.99 + 11 * (0.99**2 + 0.99**3 + 0.99**4 + 0.99**5)
    assert sim.metrics["discounted_return"][0] == pytest.approx(expected)


def test_climbing_to_the_top():
    sim = make("async:tabular-climbing", "climbing")
    sim.reset([1])
    steps = [(A, A), (1, 1), (1, 1), (A, A), (1, 1), (1, 1)]
    assert rewards_of(sim, steps) == [11] * 6
    assert sim.metrics["optimal"][0] == 1


def test_climbing_the_safe_way():
    """b and c: the row's b takes two steps, the column may change to c, then 6 is paid."""
    sim = make("async:tabular-climbing", "climbing")
    sim.reset([1])
    steps = [(C, C), (B, C), (CONTINUE, C), (B, B), (CONTINUE, CONTINUE), (C, C)]
    assert rewards_of(sim, steps) == [5, 6, 6, 7, 7, 5]


def relay_with_cue(cue):
    """A relay whose starter sees `cue`, found by its seed."""
    sim = make("async:tabular-relay", "relay")
    for seed in range(100):
        sim.reset([seed])
        if sim.now.state[0] == cue:
            return sim
    raise AssertionError("no seed starts with this cue")


@pytest.mark.parametrize("cue", [0, 1])
@pytest.mark.parametrize("lane", [0, 1])
@pytest.mark.parametrize("hand", [0, 1])
def test_relay_pays_when_both_arrive(cue, lane, hand):
    """Step 0 the starter chooses, step 2 the receiver does, both finish in step 3; nothing is paid before."""
    sim = relay_with_cue(cue)
    assert sim.obs[0, 0, :3].tolist() == np.eye(3)[1 + cue].tolist()
    assert sim.obs[0, 1, :3].tolist() == [1, 0, 0]
    sim.step([[LEFT + lane, WAIT]])
    assert sim.obs[0, :, :3].tolist() == [[1, 0, 0]] * 2
    sim.step([[CONTINUE, WAIT]])
    assert sim.obs[0, 1, :3].tolist() == np.eye(3)[1 + lane].tolist()
    assert sim.avail_actions[0].tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 1, 0]]
    assert rewards_of(sim, [(CONTINUE, LEFT + hand)]) == [0]
    assert sim.avail_actions[0].tolist() == [[0, 1, 0, 0, 0]] * 2
    reward = -5 if hand != lane else 10 if lane == cue else 2
    assert rewards_of(sim, [(CONTINUE, CONTINUE)]) == [reward]
    assert sim.terminated[0] and sim.metrics["optimal"][0] == (reward == 10)


@pytest.mark.parametrize(
    "task, value",
    [
        (instances.payoff(1.0, 2.0), 0.99 * 4),
        (instances.payoff(-3.0, 2.0), 0.99 * 9),
        (instances.payoff(1.0, 2.0, shown=True), 0.99 * 4),
        (instances.climbing(), 11 * (1 - 0.99**6) / (1 - 0.99)),
        (instances.relay(), 0.99**3 * 10),
    ],
)
def test_exact_solver_finds_the_best_return_that_was_worked_out(task, value):
    """The discounted value at the start, as the best returns of README.md imply it."""
    model = padded(task)
    best = optimal(model)
    values = np.full(len(model.states), -np.inf)
    np.maximum.at(values, model.pair_state, best)
    values[np.isneginf(values)] = 0.0
    assert model.start @ values == pytest.approx(value, abs=1e-9)
