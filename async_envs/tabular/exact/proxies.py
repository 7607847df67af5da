"""The Dec-POMDP with VSP, built from the task's arrays; it shares no rule with the padded model.

Source: Definition 1 of "Asynchronous Credit Assignment for Multi-Agent Reinforcement Learning",
arXiv:2408.03692v2: s^ = [s; õ_c] and â = [a; ã_c], where c are the executing agents; every agent has a proxy,
and those of agents that decide or are inactive are masked out (`noop`).

    r^(s^, â) = r(s, a)        P^(s^'|s^, â) = O_P(õ'_c|s') P(s'|s, a)

Definition 1 calls õ the most recent observation on which the agent made a decision, and draws it anew from
the state in the formula of P^. Both readings are built: `memory="kept"` remembers what was observed when the
agent decided, `memory="printed"` draws õ' of the agents that execute in s' from `observations[s']` in every
step.
"""

from itertools import product
from math import prod
from typing import NamedTuple, Optional, Sequence

import numpy as np

from async_envs.tabular.exact.model import CONTINUE, FIRST_OWN, NOOP, Model, check_size
from async_envs.tabular.task import TabularTask

MEMORIES = ("kept", "printed")

Execution = tuple[int, int, int]  # own action, steps left of it (at least 1), õ of its decision
Slots = tuple[Optional[Execution], ...]
Law = list[tuple[Optional[Execution], float]]  # outcomes and their probabilities


class Phase(NamedTuple):
    """One agent in one step: first, middle or last of its action."""

    activity: int
    probability: float
    carried: Law  # given this phase: what goes on in the next state, if nothing ends it


class Option(NamedTuple):
    """What one agent and its proxy may do at a state."""

    action: int
    proxy: int
    phases: list[Phase]


def with_proxies(task: TabularTask, memory: str = "kept") -> Model:
    """The model over all extended states that are reached from the start under some actions.

    Args:
        task: checked arrays.
        memory: "kept" or "printed", see above.

    Raises:
        ValueError: unknown memory, or the model is too large to be solved exactly.
    """
    if memory not in MEMORIES:
        raise ValueError(f"with_proxies: memory={memory!r} is not known. Use one of {', '.join(MEMORIES)}.")
    extension = _Extension(task, redraws=memory == "printed")
    pair_state: list[int] = []
    joint: list[list[int]] = []
    rewards: list[float] = []
    entries: list[tuple[int, int, float]] = []  # pair, next state, probability
    visited = 0
    while visited < len(extension.states):
        for options in extension.joint_options(*extension.states[visited]):
            reward, law = extension.outcome(extension.states[visited][0], [o.phases for o in options])
            entries += [(len(joint), x, probability) for x, probability in law]
            joint.append([option.action for option in options] + [option.proxy for option in options])
            rewards.append(reward)
            pair_state.append(visited)
        visited += 1
        check_size(len(extension.states), len(joint))
    transitions = np.zeros((len(joint), visited))
    pairs, targets, probabilities = zip(*entries)
    np.add.at(transitions, (np.array(pairs), np.array(targets)), np.array(probabilities))
    return Model(
        states=tuple([_label(s, slots) for s, slots in extension.states]),
        start=np.array(extension.start + [0.0] * (visited - len(extension.start))),
        pair_state=np.array(pair_state, np.int64),
        joint_actions=np.array(joint, np.int64),
        transitions=transitions,
        rewards=np.array(rewards, np.float64),
        decides=np.array([extension.deciders(s, slots) for s, slots in extension.states]),
        discount=task.discount,
        n_agents=task.n_agents,
        n_actions=FIRST_OWN + task.n_own_actions,
    )


def _label(s: int, slots: Slots) -> tuple[tuple[int, tuple], tuple[Optional[int], ...]]:
    """((s, ongoing), seen)."""
    ongoing = tuple([None if slot is None else slot[:2] for slot in slots])
    return (s, ongoing), tuple([None if slot is None else slot[2] for slot in slots])


def _support(law: np.ndarray) -> list[tuple[int, float]]:
    """What has positive probability, with it."""
    return [(k, p) for k, p in enumerate(law.tolist()) if p > 0]


class _Extension:
    """The extended states found so far, and one step from any of them.

    A state is (s, slots): slots[i] is what agent i executes, None where its proxy is masked.
    """

    def __init__(self, task: TabularTask, redraws: bool) -> None:
        self._task, self._redraws = task, redraws
        self._agents = range(task.n_agents)
        self._ended = [[bool(over or out or cut) for out, cut in zip(task.inactive[s], task.interrupts[s])]
                       for s, over in enumerate(task.terminal)]
        self._sights = [[_support(law) for law in laws] for laws in task.observations]
        self._next: dict[tuple[int, ...], tuple[float, list[tuple[int, float]]]] = {}
        self._decisions: dict[tuple[int, int], list[Option]] = {}
        first = _support(task.start)
        self.states: list[tuple[int, Slots]] = [(s, (None,) * task.n_agents) for s, _ in first]
        self.start = [probability for _, probability in first]
        self._number = {state: x for x, state in enumerate(self.states)}

    def deciders(self, s: int, slots: Slots) -> list[bool]:
        """[N] agents that choose a new action."""
        out = self._task.terminal[s] | self._task.inactive[s]
        return [slots[i] is None and not out[i] for i in self._agents]

    def joint_options(self, s: int, slots: Slots) -> list[tuple[Option, ...]]:
        """Every joint choice, none where the episode is over."""
        if self._task.terminal[s]:
            return []
        return list(product(*[self._options(s, i, slots[i]) for i in self._agents]))

    def _options(self, s: int, i: int, slot: Optional[Execution]) -> list[Option]:
        if slot is not None:
            a, left, seen = slot
            ends = left == 1
            activity = a + self._task.n_own_actions if ends else a
            phase = Phase(activity, 1.0, [(None if ends else (a, left - 1, seen), 1.0)])
            return [Option(CONTINUE, FIRST_OWN + a, [phase])]
        if self._task.inactive[s, i]:
            return [Option(NOOP, NOOP, [Phase(0, 1.0, [(None, 1.0)])])]
        if (s, i) not in self._decisions:
            own = np.flatnonzero(self._task.available[s, i]).tolist()
            self._decisions[s, i] = [Option(FIRST_OWN + a, NOOP, self._first_step(s, i, a)) for a in own]
        return self._decisions[s, i]

    def _first_step(self, s: int, i: int, a: int) -> list[Phase]:
        """Phases of a step in which agent i, observing at s, begins a: it lasts one step, or goes on."""
        one_step, *longer = self._task.durations[i, a].tolist()
        phases = [Phase(self._task.n_own_actions + a, one_step, [(None, 1.0)])]
        if any(longer):
            total = sum(longer)
            seen = [(0, 1.0)] if self._redraws else self._sights[s][i]  # redrawn on arrival
            phases.append(Phase(a, total, [((a, left, o), p / total * q)
                                           for left, p in enumerate(longer, 1) if p > 0 for o, q in seen]))
        return [phase for phase in phases if phase.probability > 0]

    def outcome(self, s: int, phases: Sequence[list[Phase]]) -> tuple[float, list[tuple[int, float]]]:
        """r^ and P^ of a joint choice; a state may be listed more than once."""
        reward, law = 0.0, []
        for joint_phase in product(*phases):
            chance = prod([phase.probability for phase in joint_phase])
            earned, successors = self._synchronous((s, *[phase.activity for phase in joint_phase]))
            reward += chance * earned
            for s_next, probability in successors:
                arrivals = [self._arrivals(s_next, i, phase.carried) for i, phase in enumerate(joint_phase)]
                for outcome in product(*arrivals):
                    x = self._index(s_next, tuple([slot for slot, _ in outcome]))
                    law.append((x, chance * probability * prod([p for _, p in outcome])))
        return reward, law

    def _synchronous(self, cell: tuple[int, ...]) -> tuple[float, list[tuple[int, float]]]:
        """r and P at (s, activities)."""
        if cell not in self._next:
            self._next[cell] = float(self._task.rewards[cell]), _support(self._task.transitions[cell])
        return self._next[cell]

    def _arrivals(self, s_next: int, i: int, carried: Law) -> Law:
        """What agent i executes in s', with what its proxy sees there."""
        if self._ended[s_next][i]:
            return [(None, 1.0)]
        if not self._redraws:
            return carried
        return [(slot if slot is None else (slot[0], slot[1], o), p * q)
                for slot, p in carried for o, q in (self._sights[s_next][i] if slot else [(0, 1.0)])]

    def _index(self, s: int, slots: Slots) -> int:
        """The number of a state, a new one if it was not met before."""
        state = (s, slots)
        if state not in self._number:
            self._number[state] = len(self.states)
            self.states.append(state)
        return self._number[state]
