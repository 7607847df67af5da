"""`plugins.vsp.verify`: whole things pass every check, and each thing broken on purpose fails the right one."""

import copy
from typing import Any, Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from async_envs.core.simulator import CONTINUE, NOOP, Simulator
from plugins.learners import sides, value_learner
from plugins.mixers import mixer_spec
from plugins.mixers.minimum import MinimumTracker
from plugins.mixers.qatten import QattenMixer
from plugins.mixers.vdn import VDNMixer
from plugins.vsp.environment import VSP
from plugins.vsp.histories import gather
from plugins.vsp.indices import Status, read_status
from plugins.vsp.verify import joint
from plugins.vsp.verify.rows import HOLDS, NOT_EXERCISED, VIOLATED, Row, Size, difference, judged, table
from plugins.vsp.verify.verification import POLICIES, verify
from tests import toy
from tests.plugins.acting import make_toy
from tests.plugins.tiny import VALUE_ALGS, make_learner
from tests.plugins.vsp.recording import recorded
from tests.registry.command import assert_equal

ALGORITHMS = [*VALUE_ALGS, "boltzmann_heads"]
SHOWN = {
    "one action for each proxy", "that action is its agent's decision", "it shows the decision's observation",
}  # fmt: skip
LIVE, TARGET = (f"proxy utilities = second passes, {side}" for side in ("live", "target"))
SINGLE, GRADIENTS = "proxy utilities = second passes, float32", "gradients of a proxy-only loss"
LOSS, GRADIENT = "masked proxies leave the loss", "masked proxies leave the gradient"
BEST = "best alone = best together"
ON_A_GPU = pytest.param(
    "cuda",
    marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")],
)


def three_miners(batch_size: int) -> Simulator:
    """The toy with three agents."""
    return make_toy("async:toy-3", batch_size)


def learner_of(alg: str, **changes: Any) -> Any:
    """A learner on the controller that training uses, for the toy, in float32."""
    if alg == "boltzmann_heads":
        alg, changes = "mvd", changes | {"mixer": "boltzmann_heads", "name": "boltzmann_heads"}
    sizes = recorded(three_miners(1), [0])  # type: ignore[arg-type]
    return make_learner(alg, sizes, dtype=torch.float32, fused=True, **changes)


def rows_of(learner: Any, promises_igm: bool = True, build: Callable = three_miners, **given: Any) -> list[Row]:
    """The whole table of a short verification."""
    return verify(build, learner, episodes=4, seed=1, epsilon_t_env=10**9, promises_igm=promises_igm, **given)


def checks(rows: list[Row], verdict: str) -> set[str]:
    """Names of the checks that have this verdict under some policy."""
    return {row.check for row in rows if row.verdict == verdict}


# what is whole


@pytest.mark.parametrize("device", ["cpu", ON_A_GPU])
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_algorithm_passes_every_check_that_applies(alg: str, device: str) -> None:
    learner = learner_of(alg)
    if device == "cuda":
        learner.cuda()
    promises = mixer_spec(learner.keys.mixer).promises_igm
    rows = rows_of(learner, promises)
    assert {HOLDS} == {row.verdict for row in rows}, table(rows)
    expected = 12 + promises + (0 if learner.proxy_history is None else 7)
    assert [expected] * 3 == [sum(row.policy == policy for row in rows) for policy in POLICIES]
    assert (learner.proxy_history is not None) == mixer_spec(learner.keys.mixer).vsp
    assert all(row.rows > 0 and row.episodes > 0 and row.steps > 0 for row in rows)


@pytest.mark.parametrize("changes", [
    {"proxy_history": "own_recurrence"}, {"use_rnn": False}, {"obs_last_action": False, "obs_agent_id": False},
    {"mvd_order": 3, "mvd_c_tracker": "per_agent"}, {"mvd_hat_state": True, "td_lambda": 0.6},
    {"standardise_returns": True, "standardise_rewards": True}, {"mvd_roles": 3, "mvd_free_executing": True},
])  # fmt: skip
def test_variants_of_the_configuration_pass(changes: dict[str, Any]) -> None:
    rows = rows_of(learner_of("mvd", **changes))
    assert {HOLDS} == {row.verdict for row in rows}, table(rows)


def test_looking_leaves_the_learner_as_it_was() -> None:
    learner = learner_of("mvd")
    before = copy.deepcopy([learner.resume_state(), learner.mac.resume_state()])
    rows_of(learner)
    assert_equal(before, [learner.resume_state(), learner.mac.resume_state()])


def test_the_same_seed_gives_the_same_table() -> None:
    learner = learner_of("qmix_a")
    assert rows_of(learner) == rows_of(learner)


class NobodyExecutes(toy.ToySimulator):
    """Miners who may only wait, one step at a time."""

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        super()._reset(seeds, where)
        self.avail_actions[..., toy.DIG :] = 0

    def _step(self, actions: np.ndarray) -> None:
        super()._step(actions)
        self.avail_actions[..., toy.DIG :] = 0


def test_what_was_not_exercised_is_said() -> None:
    def build(batch_size: int) -> Simulator:
        return NobodyExecutes("async:toy-3", batch_size, 3, 20, goal=2.0, yield_=1.0, death=0.0)

    rows = rows_of(learner_of("mvd"), build=build)
    assert not checks(rows, VIOLATED)
    unseen = {"same rewards", "same returns", "same metrics", "executing agents seen"}
    assert unseen | {LIVE, TARGET, SINGLE, GRADIENTS, BEST} == checks(rows, NOT_EXERCISED)
    notes = {row.check: row.note for row in rows}
    assert "no agent executed" == notes[LIVE] and "no agent had a choice" == notes[BEST]
    assert "every one was 0" == notes["same rewards"]
    assert "no agent executed, masked proxies only" == notes["one action for each proxy"]


# simulators broken on purpose


class DoubledReward(VSP):
    """The proxies are paid, too."""

    def _step(self, actions: np.ndarray) -> None:
        super()._step(actions)
        self.reward *= 2


class StaleAction(VSP):
    """A proxy repeats the first decision of its agent for ever."""

    def _step(self, actions: np.ndarray) -> None:
        first = self._decision_action.copy()
        super()._step(actions)
        np.copyto(self._decision_action, first, where=first != 0)
        self._show(self._moving)


class LateObservation(VSP):
    """A proxy sees what its agent sees now."""

    def _show(self, where: np.ndarray) -> None:
        super()._show(where)
        executing = self.simulator.avail_actions[..., CONTINUE] != 0
        self.obs[:, 3:][executing] = self.simulator.obs[executing]


class InvertedMask(VSP):
    """The proxies of executing agents are masked, those of the others act."""

    def _show(self, where: np.ndarray) -> None:
        super()._show(where)
        executing = self.simulator.avail_actions[..., CONTINUE] != 0
        offered = np.where(executing, NOOP, self._decision_action)
        self.avail_actions[:, 3:] = np.arange(self.n_actions) == offered[..., None]


class TwoActions(VSP):
    """A proxy may also do nothing."""

    def _show(self, where: np.ndarray) -> None:
        super()._show(where)
        self.avail_actions[:, 3:, CONTINUE] = 1


class NoAction(VSP):
    """A masked proxy has no action at all."""

    def _show(self, where: np.ndarray) -> None:
        super()._show(where)
        self.avail_actions[:, 3:, NOOP] = 0


class EarlyEnd(VSP):
    """Time is up one step before it is."""

    def _step(self, actions: np.ndarray) -> None:
        super()._step(actions)
        self.truncated |= (self.t >= self.episode_limit - 1) & ~self.terminated


class RoundedState(VSP):
    """The state loses its last bit."""

    def _step(self, actions: np.ndarray) -> None:
        super()._step(actions)
        self.state[...] = np.nextafter(self.state, np.float32(-9))


class OtherMetrics(VSP):
    """Every episode counts as won."""

    def _step(self, actions: np.ndarray) -> None:
        super()._step(actions)
        self.metrics["battle_won"][:] = 1


class OtherMask(VSP):
    """Agents lose their last action."""

    def _show(self, where: np.ndarray) -> None:
        super()._show(where)
        self.avail_actions[:, :3, toy.CARRY] = 0


class OtherObservation(VSP):
    """Agents see nothing."""

    def _show(self, where: np.ndarray) -> None:
        super()._show(where)
        self.obs[:, :3] = 0


@pytest.mark.parametrize("proxied, caught", [
    (DoubledReward, {"same rewards", "same returns"}),
    (StaleAction, {"that action is its agent's decision"}),
    (LateObservation, {"it shows the decision's observation"}),
    (InvertedMask, {"that action is its agent's decision"}),
    (TwoActions, {"one action for each proxy", "that action is its agent's decision"}),
    (NoAction, {"played to the end with proxies"}),
    (EarlyEnd, {"same ends"}),
    (RoundedState, {"same state"}),
    (OtherMetrics, {"same metrics"}),
    (OtherMask, {"same masks", "same joint actions"}),
    (OtherObservation, {"same observations", "same joint actions"}),
])  # fmt: skip
def test_a_broken_simulator_fails_the_check_it_breaks(proxied: type[VSP], caught: set[str]) -> None:
    violated = checks(rows_of(learner_of("qmix"), proxied=proxied), VIOLATED)
    assert caught <= violated
    if proxied in (DoubledReward, StaleAction, LateObservation, RoundedState, OtherMetrics, NoAction):
        assert caught == violated


# learners broken on purpose


def one_step_early(batch: Any, status: Any, decision_t: Tensor) -> Any:
    """The proxy of the step before the decision."""
    return gather(batch, status, (decision_t - 1).clamp(min=0))


def one_step_late(batch: Any, status: Any, decision_t: Tensor) -> Any:
    """The proxy of the step after the decision."""
    return gather(batch, status, (decision_t + 1).clamp(max=decision_t.shape[1] - 1))


def without_gradient(batch: Any, status: Any, decision_t: Tensor) -> Any:
    """The right utilities as constants."""
    inner = gather(batch, status, decision_t)
    return lambda mac, q_taken: inner(mac, q_taken).detach()


class LiveForBoth:
    """The live network's utilities on the target side."""

    def __call__(self, batch: Any, status: Any, decision_t: Tensor) -> Any:
        inner, first = gather(batch, status, decision_t), []

        def utilities(mac: Any, q_taken: Tensor) -> Tensor:
            first.append(inner(mac, q_taken))
            return first[0]

        return utilities


@pytest.mark.parametrize("alg", ["mvd", "qatten_a"])
@pytest.mark.parametrize("history, caught", [
    (one_step_early, {LIVE, TARGET, SINGLE, GRADIENTS}),
    (one_step_late, {LIVE, TARGET, SINGLE, GRADIENTS}),
    (LiveForBoth(), {TARGET}),
    (without_gradient, {GRADIENTS}),
])  # fmt: skip
def test_a_wrong_gather_is_caught(alg: str, history: Any, caught: set[str]) -> None:
    learner = learner_of(alg)
    learner.proxy_history = history
    assert caught == checks(rows_of(learner), VIOLATED)


def test_an_inverted_mask_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def inverted(avail: Tensor, filled: Tensor) -> Status:
        deciding, executing, inactive = read_status(avail, filled)
        return Status(executing, deciding, inactive)

    monkeypatch.setattr(value_learner, "read_status", inverted)
    violated = checks(rows_of(learner_of("mvd"), promises_igm=False), VIOLATED)
    assert {"the learner's masks", LIVE, TARGET, LOSS, GRADIENT} <= violated


def test_learning_from_a_step_that_was_not_played_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "step_mask", lambda filled, terminated: filled[:, :-1] != 0)
    assert {"the learner's masks", LIVE, BEST} <= checks(rows_of(learner_of("mvd")), VIOLATED)


def leaking_sum(self: Any, q_taken: Tensor, state: Tensor, extras: Any) -> Tensor:
    """VDN(A) that trusts its caller to have masked the proxies."""
    return torch.cat([q_taken, extras.q_proxy], 1).sum(1, keepdim=True)


def leaking_features(self: Any, state: Tensor, extras: Any) -> Tensor:
    """MVD's hypernetworks read what masked proxies would have seen."""
    return torch.cat([state, extras.obs_decision.flatten(1)], 1)


def leaking_minimum(self: Any, q_proxy: Tensor, q_proxy_target: Tensor, executing: Tensor) -> None:
    """C over all slots."""
    self.value.copy_(torch.maximum(self.value, -torch.minimum(q_proxy, q_proxy_target).detach().amin()))


def leaking_attention(self: Any, state: Tensor, extras: Any) -> Tensor:
    """Masked proxies take part in the softmax, as far as their keys reach."""
    open_to_all = extras._replace(executing=torch.ones_like(extras.executing))
    return whole_attention(self, state, open_to_all)


whole_attention = QattenMixer.attention


@pytest.mark.parametrize("alg, target, name, broken", [
    ("vdn_a", VDNMixer, "mix", leaking_sum),
    ("mvd", MinimumTracker, "observe", leaking_minimum),
    ("mvd_hat_state", None, "_features", leaking_features),
    ("qatten_a", QattenMixer, "attention", leaking_attention),
])  # fmt: skip
def test_a_masked_proxy_that_leaks_is_caught(
    alg: str, target: Any, name: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = learner_of("mvd", mvd_hat_state=True) if alg == "mvd_hat_state" else learner_of(alg)
    monkeypatch.setattr(target or type(learner.mixer), name, broken)
    violated = checks(rows_of(learner, promises_igm=False), VIOLATED)
    assert {LOSS, GRADIENT} & violated and violated <= {LOSS, GRADIENT}


def falling_sum(self: Any, q_taken: Tensor, state: Tensor, extras: Any) -> Tensor:
    """A mixer that falls in the first agent's utility."""
    return q_taken[:, 1:].sum(1, keepdim=True) - q_taken[:, :1]


@pytest.mark.parametrize("most", [joint.MOST_JOINT_ACTIONS, 1])
def test_a_mixer_that_is_not_monotone_is_caught(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VDNMixer, "mix", falling_sum)
    monkeypatch.setattr(joint, "MOST_JOINT_ACTIONS", most)
    rows = rows_of(learner_of("vdn"))
    assert {BEST} == checks(rows, VIOLATED)
    assert all(("one agent at a time" in row.note) == (most == 1) for row in rows if row.check == BEST)


# parts


def test_joint_actions_begin_with_the_best_and_leave_nothing_out() -> None:
    q = torch.tensor([[9.0, 1.0, 2.0], [5.0, 4.0, 3.0]])
    avail = torch.tensor([[False, True, True], [True, True, False]])
    actions, is_whole = joint.joint_actions(q, avail)
    assert is_whole and [2, 0] == actions[0].tolist()
    assert {(1, 0), (1, 1), (2, 0), (2, 1)} == {tuple(row) for row in actions[1:].tolist()}


def test_too_many_joint_actions_are_swept_one_agent_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "MOST_JOINT_ACTIONS", 3)
    actions, is_whole = joint.joint_actions(torch.tensor([[1.0, 2.0], [4.0, 3.0]]), torch.ones(2, 2).bool())
    assert not is_whole and [[1, 0], [0, 0], [1, 0], [1, 0], [1, 1]] == actions.tolist()


@pytest.mark.parametrize("one, other, expected", [
    ([1.0, 2.0], [1.0, 2.0], 0.0),
    ([1.0, 2.0], [1.0, 2.5], 0.5),
    ([np.nan], [np.nan], 0.0),
    ([np.nan], [1.0], np.inf),
    ([1.0], [1.0, 1.0], np.inf),
])  # fmt: skip
def test_difference_of_arrays(one: list[float], other: list[float], expected: float) -> None:
    assert expected == difference(np.array(one), np.array(other))


def test_arrays_that_differ_in_bits_alone_differ() -> None:
    assert difference(np.array([0.0]), np.array([-0.0])) > 0
    assert np.inf == difference(np.zeros(1, np.float32), np.zeros(1))


def test_a_number_that_is_none_violates() -> None:
    assert VIOLATED == judged("x", "greedy", Size(1, 1), rows=1, worst=np.nan, limit=1.0).verdict
    assert VIOLATED in table([judged("x", "greedy", Size(1, 1), rows=1, worst=1.0)])
