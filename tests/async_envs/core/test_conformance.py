"""The toy keeps the contract; each rule is broken once and found broken."""

import numpy as np
import pytest

from async_envs.core.compile import is_compiled
from async_envs.core.conformance import ContractBroken, check_simulator
from async_envs.core.simulator import Simulator
from tests import toy

SEEDS = range(16)


@pytest.mark.parametrize("variant", toy.FAMILY.variants)
def test_toy_keeps_the_contract(variant):
    key = f"async:toy-{variant}"
    options = {"episode_limit": 15}
    report = check_simulator(lambda size: toy.make(key, variant, size, **options), SEEDS)
    unmeasured = "allocation in a step (kernels are not compiled)"
    assert report.unchecked == (() if is_compiled() else (unmeasured,))
    assert "frozen_rows" in report.checked and len(report.checked) == 15


class Broken(toy.ToySimulator):
    """A toy that does `after_step(self)` and `after_reset(self, where)` on top."""

    def __init__(self, size, after_step=None, after_reset=None, **options):
        settings = {"n_agents": 3, "episode_limit": 15, "goal": 2.0, "yield_": 1.0, "death": 1 / 16} | options
        super().__init__("async:toy-3", size, **settings)
        self.after_step, self.after_reset = after_step, after_reset
        self.n_calls = 0

    def _reset(self, seeds, where):
        super()._reset(seeds, where)
        if self.after_reset:
            self.after_reset(self, where)

    def _step(self, actions):
        if self.after_step is None:
            super()._step(actions)
            return
        was_over = self.over()
        super()._step(actions)
        self.after_step(self, was_over)

    def over(self):
        return self.terminated | self.truncated


def no_action(sim, was_over):
    sim.avail_actions[0, 0] = 0


def two_in_a_cell(sim, was_over):
    sim.avail_actions[sim.avail_actions == 1] = 2


def noop_for_all(sim, where):
    sim.avail_actions[:, :, 0] = 1


def continue_for_all(sim, where):
    sim.avail_actions[:, :, 1] = 1


def obs_far_out(sim, was_over):
    sim.obs[0, 0, 0] = 30


def state_not_finite(sim, where):
    sim.state[:, 0] = np.nan


def clock_stands(sim, was_over):
    sim.t[~was_over] = 1


def both_ends(sim, was_over):
    sim.truncated |= sim.terminated


def over_at_once(sim, where):
    sim.terminated[-1] = True


def cut_early(sim, was_over):
    sim.truncated |= (sim.t == 7) & ~sim.terminated


def never_cut(sim, was_over):
    sim.truncated[:] = False


def metrics_early(sim, was_over):
    sim.metrics["gold"][:] = sim.miners.gold


def reward_after_the_end(sim, was_over):
    sim.reward[was_over] = 1.0


def state_after_the_end(sim, was_over):
    sim.state[was_over, -1] += 0.125


def place_is_felt(sim, where):
    sim.obs[:, 0, 4] = np.arange(sim.batch_size) / sim.batch_size


def batch_is_felt(sim, where):
    sim.obs[:, 0, 4] = 1 / sim.batch_size


def twins_differ(sim, where):
    if sim.batch_size == 2:
        sim.obs[1, 0, 4] = 0.5


def neighbours_restart(sim, where):
    if not where.all():
        sim.obs[~where, 0, 4] = 0.5


def restart_differs(sim, where):
    if not where.all():
        sim.miners.luck[where] = 0.0


def global_draw(sim, where):
    np.random.random()


def global_seeded(sim, where):
    state = np.random.get_state()
    sim.obs[where, 0, 4] = np.random.random()
    np.random.set_state(state)


def new_buffer(sim, was_over):
    if sim.batch_size == 2:
        sim.reward = sim.reward.copy()


def allocating(sim, was_over):
    sim.kept = sim.reward + 1


def second_life_differs(sim, where):
    sim.n_calls += 1
    if sim.n_calls > 1 and sim.batch_size == 1:
        sim.obs[:, 0, 4] = 0.5


@pytest.mark.parametrize(
    "breaking, line",
    [
        ({"after_step": no_action}, "avail_actions: an agent has no available action"),
        ({"after_step": two_in_a_cell}, "avail_actions: "),
        ({"after_reset": noop_for_all}, "avail_actions: noop is available beside other actions"),
        ({"after_reset": continue_for_all}, "avail_actions: continue is available beside other actions"),
        ({"after_step": obs_far_out}, "values: obs reaches 30"),
        ({"after_reset": state_not_finite}, "values: state is not finite"),
        ({"after_step": clock_stands}, "t: does not count"),
        ({"after_step": both_ends}, "ends: an episode is terminated and truncated at once"),
        ({"after_reset": over_at_once}, "t: does not count|ends: an episode is over right after reset"),
        ({"after_step": cut_early}, "ends: an episode is truncated before its limit"),
        ({"after_step": never_cut}, "ends: an episode runs on after its limit of 15 steps"),
        ({"after_step": metrics_early}, "metrics: metrics/gold is not 0 before the end"),
        ({"after_step": reward_after_the_end}, "frozen rows: an episode that is over gets a reward"),
        ({"after_step": state_after_the_end}, "frozen rows: state of an episode that is over changes"),
        ({"after_reset": batch_is_felt}, "seed: an episode feels its batch: obs differs"),
        ({"after_reset": place_is_felt}, "seed: an episode feels its (batch|place)"),
        ({"after_reset": twins_differ}, "seed: two of one seed differ in obs"),
        ({"after_reset": neighbours_restart}, "(reset: where=False rows of obs change|frozen rows)"),
        ({"after_reset": restart_differs}, "reset: a restarted episode differs"),
        ({"after_reset": second_life_differs}, "reset: after the end, reset does not begin afresh: obs"),
        ({"after_reset": global_draw}, "randomness: the global random state of NumPy is moved"),
        ({"after_reset": global_seeded}, "(seed|randomness): "),
        ({"after_step": new_buffer}, "buffers: reward is another object"),
    ],
)  # fmt: skip
def test_broken_rule_is_found(breaking, line):
    with pytest.raises(ContractBroken, match=f"^{line}"):
        check_simulator(lambda size: Broken(size, **breaking), SEEDS)


@pytest.mark.skipif(not is_compiled(), reason="allocation is measured with compiled kernels only")
def test_allocation_over_the_batch_is_found():
    with pytest.raises(ContractBroken, match="^allocation: a step allocates .* bytes"):
        check_simulator(lambda size: Broken(size, after_step=allocating), SEEDS)


class WrongDtype(Broken):
    def __init__(self, size):
        super().__init__(size)
        self.reward = self.reward.astype(np.float64)


class WrongShape(Broken):
    def __init__(self, size):
        super().__init__(size)
        self.state = self.state[:, :-1]


class RepeatedName(Broken):
    def __init__(self, size):
        super().__init__(size)
        self.obs_names = ("alive",) * self.obs_dim


class WrongFirstAction(Broken):
    def __init__(self, size):
        super().__init__(size)
        self.action_names = ("rest", *self.action_names[1:])


class StepsUnready(Broken):
    def __init__(self, size):
        super().__init__(size)
        self._started = True
        self.avail_actions[:, :, 0] = 1


class StepsForEver(Broken):
    def _check(self, actions):
        if self._started and self.over().all():
            return
        super()._check(actions)


class ReadsActionsOfTheDead(Broken):
    def _check(self, actions):
        super()._check(actions)
        if (np.asarray(actions) >= self.n_actions).any():
            raise ValueError(f"actions hold {np.max(actions)}")


class TakesAnything(Broken):
    def _check(self, actions):
        if not self._started or np.asarray(actions).shape != self._actions.shape or self.over().all():
            super()._check(actions)
        self._actions[:] = np.clip(actions, 0, self.n_actions - 1)


class SaysLittle(Broken):
    def illegal_action(self, episode, agent, action):
        return "not available"


class MovesBeforeItLooks(Broken):
    def _check(self, actions):
        if self._started:
            self.t[1:] += 1
        super()._check(actions)
        self.t[1:] -= 1


class MovesInside(Broken):
    """Public arrays stay, the random stream does not."""

    def _check(self, actions):
        try:
            super()._check(actions)
        except ValueError:
            self.miners.streams[:] += np.uint64(1)
            raise


class TakesAnySeed(Broken):
    def _check_seeds(self, seeds, where):
        for b in range(self.batch_size):
            self._seeds[b] = int(seeds[b] or 0) % 2**64 if b < len(seeds) else 0


@pytest.mark.parametrize(
    "simulator, line",
    [
        (WrongDtype, "shapes: reward has dtype float64, expected float32"),
        (WrongShape, r"shapes: state has shape \(3, 18\), expected \(3, 19\)"),
        (RepeatedName, "names: obs_names repeat a name"),
        (WrongFirstAction, r"names: the first actions are \('rest', 'continue'\)"),
        (StepsUnready, "step: step before reset does not raise"),
        (StepsForEver, "step: with every episode over it passes"),
        (ReadsActionsOfTheDead, "frozen rows: the actions of an episode that is over are read"),
        (TakesAnything, "bad actions: .* passes"),
        (SaysLittle, "bad actions: the error does not name 'episode 1'"),
        (MovesBeforeItLooks, "bad actions: a refused action moves t"),
        (MovesInside, "bad actions: a refused action changed what follows"),
        (TakesAnySeed, r"seeds: reset\(\[1\]\) passes|seeds: reset"),
    ],
)
def test_broken_simulator_is_found(simulator, line):
    if simulator is ReadsActionsOfTheDead:  # found when the first batch is played
        with pytest.raises((ContractBroken, ValueError), match="1000000000"):
            check_simulator(simulator, SEEDS)
        return
    with pytest.raises(ContractBroken, match=f"^{line}"):
        check_simulator(simulator, SEEDS)


@pytest.mark.parametrize(
    "options, max_steps, line",
    [
        ({"goal": 50.0, "death": 0.0}, 1000, "no episode was terminated"),
        ({"goal": 50.0, "death": 0.0}, 1000, "no agent was ever inactive"),
        ({"goal": 0.01, "death": 0.0}, 1000, "no episode was truncated"),
        ({}, 1, "no episode ended within 1 steps"),
        ({}, 1, "no episode was over while others of its batch ran"),
    ],
)
def test_what_was_not_seen_is_said(options, max_steps, line):
    report = check_simulator(lambda size: Broken(size, **options), SEEDS, max_steps)
    assert line in report.unchecked


def test_metrics_that_are_always_zero_go_unchecked():
    def forget(sim, was_over):
        for values in sim.metrics.values():
            values.fill(0)

    class Forgetful(Broken):
        def _step(self, actions):
            super()._step(actions)
            forget(self, None)

    report = check_simulator(Forgetful, SEEDS)
    assert "every metric was 0 at the end of every episode" in report.unchecked


def test_seeds_without_effect_go_unchecked():
    class Deaf(Broken):
        def _reset(self, seeds, where):
            super()._reset(np.zeros_like(seeds), where)

    assert "episodes of different seeds were all the same" in check_simulator(Deaf, SEEDS).unchecked


def test_one_seed_is_too_few():
    with pytest.raises(ValueError, match="fewer than two"):
        check_simulator(lambda size: Broken(size), [3, 3])


def test_toy_is_a_simulator():
    assert issubclass(toy.ToySimulator, Simulator)
