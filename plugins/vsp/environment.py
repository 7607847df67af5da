"""The Virtual Synchrony Proxy on the environment's side: any learner trains under it without knowing.

Letters: B episodes, N agents of the task, A actions, O obs features.
"""

import numpy as np

from async_envs.core.compile import kernel
from async_envs.core.simulator import CONTINUE, FIRST_ACTION, NOOP, Simulator

NO_STATUSES = (
    "{key}: its actions do not begin with noop and continue, so a VSP cannot tell who executes. Leave out vsp."
)
ALREADY_PROXIED = "{key}: this simulator is a VSP already and shows its proxies. Wrap the task once."


class VSP(Simulator):
    """A simulator of 2N agents: the task's N, then one proxy for each.

    While agent i executes an action, its proxy N + i shows what i saw when it decided, and has one action
    available: the one that i chose then. While i decides or is inactive, the proxy is masked: zeros to
    see and `noop` to do. Reward, ends, metrics, state and the first N agents are the task's own (obs and
    availability copied, the rest the very same buffers). Proxies change nothing in the task.

    Learners that build the proxies themselves would count them twice; the configuration check refuses that.

    Args:
        simulator: the task, not yet reset; it is stepped through this one from now on.

    Attributes:
        simulator: the task.

    Raises:
        ValueError: the simulator is a VSP already, or does not show statuses.
    """

    _counts_decisions = False  # the task does; a proxy decides nothing, though an action is available to it

    def __init__(self, simulator: Simulator):
        if isinstance(simulator, VSP):
            raise ValueError(ALREADY_PROXIED.format(key=simulator.key))
        if simulator.action_names[:FIRST_ACTION] != ("noop", "continue"):
            raise ValueError(NO_STATUSES.format(key=simulator.key))
        n_agents = simulator.n_agents
        super().__init__(
            key=simulator.key,
            batch_size=simulator.batch_size,
            n_agents=2 * n_agents,
            episode_limit=simulator.episode_limit,
            action_names=simulator.action_names,
            obs_names=simulator.obs_names,
            state_names=simulator.state_names,
            metric_names=simulator.metric_names,
        )
        self.simulator = simulator
        for name in ("state", "reward", "terminated", "truncated", "t", "decisions", "metrics"):
            setattr(self, name, getattr(simulator, name))
        self._decision_obs = np.zeros_like(simulator.obs)  # what each agent saw when it last decided
        self._decision_action = np.zeros((self.batch_size, n_agents), np.int64)  # and what it chose
        self._moving = np.zeros(self.batch_size, np.bool_)  # the episodes that the current step moves
        self._task_actions = np.zeros((self.batch_size, n_agents), np.int64)

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        self.simulator.reset(seeds, where)
        self._show(where)

    def _step(self, actions: np.ndarray) -> None:
        task = self.simulator
        np.logical_or(task.terminated, task.truncated, out=self._moving)
        np.logical_not(self._moving, out=self._moving)
        np.copyto(self._task_actions, actions[:, : task.n_agents])
        remember_decisions(
            self._moving,
            task.obs,
            task.avail_actions,
            self._task_actions,
            self._decision_obs,
            self._decision_action,
        )
        task.step(self._task_actions)
        self._show(self._moving)

    def close(self) -> None:
        """Close the task."""
        self.simulator.close()

    def _show(self, where: np.ndarray) -> None:
        task = self.simulator
        show_agents_and_proxies(
            where,
            task.obs,
            task.avail_actions,
            self._decision_obs,
            self._decision_action,
            self.obs,
            self.avail_actions,
        )

    def _while_doing(self, episode: int, agent: int) -> str:
        n_agents = self.simulator.n_agents
        if agent >= n_agents:
            return f"to the proxy of agent {agent - n_agents}"
        return self.simulator._while_doing(episode, agent)


@kernel
def remember_decisions(where, obs, avail_actions, actions, decision_obs, decision_action):
    """Keep what each deciding agent sees and chooses. Writes: decision_obs, decision_action."""
    for b in range(obs.shape[0]):
        if not where[b]:
            continue
        for i in range(obs.shape[1]):
            if avail_actions[b, i, NOOP] == 0 and avail_actions[b, i, CONTINUE] == 0:
                decision_action[b, i] = actions[b, i]
                for o in range(obs.shape[2]):
                    decision_obs[b, i, o] = obs[b, i, o]


@kernel
def show_agents_and_proxies(
    where, task_obs, task_avail, decision_obs, decision_action, obs, avail_actions
):
    """Fill both halves of the episodes in `where`. Writes: obs [B, 2N, O], avail_actions [B, 2N, A]."""
    n_agents = task_obs.shape[1]
    for b in range(task_obs.shape[0]):
        if not where[b]:
            continue
        for i in range(n_agents):
            proxy = n_agents + i
            for a in range(task_avail.shape[2]):
                avail_actions[b, i, a] = task_avail[b, i, a]
                avail_actions[b, proxy, a] = 0
            executing = task_avail[b, i, CONTINUE] != 0
            for o in range(task_obs.shape[2]):
                obs[b, i, o] = task_obs[b, i, o]
                obs[b, proxy, o] = decision_obs[b, i, o] if executing else 0.0
            avail_actions[b, proxy, decision_action[b, i] if executing else NOOP] = 1
