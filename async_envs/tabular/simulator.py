"""Tabular tasks as a batched asynchronous simulator."""

from typing import Any

import numpy as np

from async_envs.core.compile import warm_up
from async_envs.core.errors import unknown_name
from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP, Simulator
from async_envs.tabular import instances, kernels
from async_envs.tabular.family import FAMILY, OPTIONS_OF
from async_envs.tabular.loader import load_task
from async_envs.tabular.task import RESERVED, TabularTask
from async_envs.tabular.types import Output, flatten, make_now, make_tables

FOREIGN_OPTION = "{key}: option {name}={value!r} is for async:tabular-{variant} only. Leave it out."
NO_FILE = "{key}: no file was given, a task in JSON or NPZ is expected. Add file=PATH (env_args.file=PATH)."


class TabularSimulator(Simulator):
    """B episodes of one task. README.md holds the rules and the features.

    Observation [B, N, O + A + 1] float32: what the agent observes one-hot, its ongoing action one-hot, the
    steps left of it over D. State [B, F] float32: the underlying state one-hot; if the task shows it, for
    each agent the ongoing action one-hot and the steps left over D; t over the limit. Actions [B, N] int of
    2 + A: `noop`, `continue`, the task's own. `now` holds what lies behind these.

        sim = make("async:tabular-relay", "relay", batch_size=2)
        sim.reset([1, 2])
        sim.step(sim.avail_actions.argmax(-1))

    Args:
        key: the task's name, for error lines.
        batch_size: B.
        task: from `make_task` or `load_task`.
        best_return: the best undiscounted return of an episode, if known: adds the metric `optimal`.
    """

    render_modes = ("ansi",)

    def __init__(self, key: str, batch_size: int, task: TabularTask, best_return: float | None = None):
        super().__init__(
            key=key,
            batch_size=batch_size,
            n_agents=task.n_agents,
            episode_limit=task.episode_limit,
            action_names=RESERVED + task.action_names,
            obs_names=_obs_names(task),
            state_names=_state_names(task),
            metric_names=("discounted_return",) + (("optimal",) if best_return is not None else ()),
        )
        self.task = task
        metrics = np.zeros((len(self.metric_names), batch_size), np.float32)
        self.metrics = dict(zip(self.metric_names, metrics))
        self.now = make_now(batch_size, task.n_agents)
        tables = make_tables(task, float(best_return or 0.0))
        out = Output(
            self.obs, self.state, self.avail_actions, self.reward,
            self.terminated, self.truncated, self.t, metrics,
        )  # fmt: skip
        self._fields = flatten(tables, self.now, out)

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        kernels.begin_batch(seeds, where, *self._fields)

    def _step(self, actions: np.ndarray) -> None:
        kernels.step_batch(actions, *self._fields)

    def render(self, episode: int = 0, mode: str | None = None) -> str:
        """One line for the episode and one for each agent.

        Raises:
            ValueError: a mode other than "ansi"; one line.
        """
        if mode not in (None, *self.render_modes):
            raise ValueError(unknown_name(self.key, "render_mode", mode, self.render_modes))
        now = self.now
        end = " terminated" if self.terminated[episode] else " truncated" if self.truncated[episode] else ""
        lines = [
            f"step {self.t[episode]} of {self.episode_limit}{end}: state {now.state[episode]}, "
            f"reward {self.reward[episode]:g}, return {now.gathered[episode]:g}"
        ]
        for agent in range(self.n_agents):
            seen, status = now.seen[episode, agent], self._status(episode, agent)
            lines.append(f"  agent {agent} observes {seen}, {status}")
        return "\n".join(lines)

    def _status(self, episode: int, agent: int) -> str:
        available = self.avail_actions[episode, agent]
        if available[NOOP]:
            return "inactive"
        if available[CONTINUE]:
            return self._while_doing(episode, agent).removeprefix("while ")
        return "deciding: " + ", ".join(self.action_names[a] for a in np.flatnonzero(available))

    def _while_doing(self, episode: int, agent: int) -> str:
        left = int(self.now.left[episode, agent])
        if left == 0:
            return ""
        name = self.action_names[FIRST_ACTION + int(self.now.action[episode, agent])]
        return f"while executing {name!r} ({left} step{'s' if left > 1 else ''} left)"


def _ongoing_names(task: TabularTask) -> tuple[str, ...]:
    return tuple(f"doing_{name}" for name in task.action_names) + ("steps_left",)


def _obs_names(task: TabularTask) -> tuple[str, ...]:
    return tuple(f"observes_{k}" for k in range(task.n_observations)) + _ongoing_names(task)


def _state_names(task: TabularTask) -> tuple[str, ...]:
    names = tuple(f"state_{k}" for k in range(task.n_states))
    if task.state_is_shown:
        names += tuple(f"agent_{i}.{name}" for i in range(task.n_agents) for name in _ongoing_names(task))
    return names + ("time",)


def make(key: str, variant: str, batch_size: int = 1, **options: Any) -> TabularSimulator:
    """The simulator of a named instance or of a file.

    Args:
        key: the task's name, for error lines.
        variant: of `FAMILY.variants`.
        batch_size: B, episodes that are played at once.
        options: of `FAMILY.options`; what is left out has its default.

    Raises:
        ValueError: an unknown variant or option, an option of another variant, a value that is not accepted,
            or a file that cannot be read or holds no task; one line.
    """
    if variant not in FAMILY.variants:
        raise ValueError(unknown_name(key, "variant", variant, FAMILY.variants))
    given = FAMILY.check_options(key, options)
    for name, value in given.items():
        if name not in OPTIONS_OF.get(variant, ()):
            owner = next(other for other, names in OPTIONS_OF.items() if name in names)
            raise ValueError(FOREIGN_OPTION.format(key=key, name=name, value=value, variant=owner))
    defaults = {option.name: option.default for option in FAMILY.options}
    task, best_return = _task(key, variant, defaults | given)
    warm_up("tabular", lambda: _play_one_step(TabularSimulator(key, 1, *instances.of_climbing())))
    return TabularSimulator(key, batch_size, task, best_return)


def _task(key: str, variant: str, options: dict[str, Any]) -> tuple[TabularTask, float | None]:
    """The task and the best return of an episode, if it is known."""
    if variant == "payoff":
        return instances.of_payoff(options["a"], options["b"], options["shown"])
    if variant == "climbing":
        return instances.of_climbing()
    if variant == "relay":
        return instances.of_relay()
    if options["file"] is None:
        raise ValueError(NO_FILE.format(key=key))
    return load_task(options["file"]), None


def _play_one_step(simulator: TabularSimulator) -> None:
    simulator.reset([0])
    simulator.step(simulator.avail_actions.argmax(-1))
