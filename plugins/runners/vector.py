"""Many episodes at once, in one process: one batched simulator, one forward pass a step.

Letters: B episodes, T1 stored steps (the last observation included), N agents, A actions.
"""

from functools import partial
from typing import Any, Callable

import numpy as np

from async_envs.core.seeding import TEST, TRAIN, episode_seed
from async_envs.core.simulator import Simulator
from plugins.controllers.async_mac import NO_ACTION
from plugins.envs import (
    NO_RENDER,
    NO_REPLAY,
    build_simulator,
    call_family,
    check_rewards,
    env_info,
)
from plugins.runners.playing import results
from plugins.runners.rollout import Rollout

TEST_BATCH = 32  # episodes at once in `evaluate`; the results do not depend on it
NEVER_LOGGED = -1_000_000  # so that the first rollout is logged
NEEDS_ACT = "vector runner: the controller {given} has no method act. Use mac=async_mac, or runner=episode."


class VectorRunner:
    """EPyMARL's runner interface over a batched simulator.

    Training episode k of a run has the seed `episode_seed(seed, "train", k)`, test episode j
    `episode_seed(seed, "test", j)`; both counts go on over the whole run.

    Args:
        args: EPyMARL's settings.
        logger: has `log_stat(name, value, t_env)`.
        episode_batch: the host's EpisodeBatch class.
        make_simulator: called as `make_simulator(key, batch_size=B, **options)`.
        recorder: has `test(t_env, episodes, decisions)`, or None.

    Attributes:
        t_env: training steps taken so far, over all episodes.
        decisions: actions that deciding agents have chosen in them; None where a checkpoint did not tell.
        batch_size: B, episodes in a training rollout.
    """

    def __init__(
        self,
        args: Any,
        logger: Any,
        *,
        episode_batch: Callable[..., Any],
        make_simulator: Callable[..., Simulator],
        recorder: Any = None,
    ):
        self.args = args
        self.logger = logger
        self.batch_size: int = args.batch_size_run
        self._episode_batch = episode_batch
        self._recorder = recorder
        env_args = dict(
            args.env_args, common_reward=args.common_reward, reward_scalarisation=args.reward_scalarisation
        )
        self._build = partial(build_simulator, make_simulator, env_args)
        self._simulators = {self.batch_size: self._build(self.batch_size)}
        self._rollouts: dict[int, Rollout] = {}
        self.episode_limit = self._simulators[self.batch_size].episode_limit

        self.t = 0  # steps of the longest episode of the last rollout
        self.t_env = 0
        self.decisions: int | None = 0
        self.train_returns: list[float] = []
        self.test_returns: list[float] = []
        self.train_stats: dict[str, float] = {}
        self.test_stats: dict[str, float] = {}
        self.log_train_stats_t = NEVER_LOGGED
        self._n_played = {TRAIN: 0, TEST: 0}
        self._tested: list[dict[str, Any]] = []  # episodes of the test round under way

    def get_env_info(self) -> dict[str, int]:
        """Sizes under EPyMARL's names."""
        return env_info(self._simulators[self.batch_size])

    def setup(self, scheme: Any, groups: Any, preprocess: Any, mac: Any) -> None:
        """Take the host's batch layout and the controller.

        Raises:
            TypeError: the controller cannot act for a vector runner.
        """
        if not hasattr(mac, "act"):
            raise TypeError(NEEDS_ACT.format(given=type(mac).__name__))
        self.mac = mac
        self._shows_state = hasattr(mac, "acts_on_state") and mac.acts_on_state
        self._new_batch = partial(
            self._episode_batch, scheme, groups, preprocess=preprocess, device=self.args.device
        )

    def run(self, test_mode: bool = False) -> Any:
        """Play B training episodes, or the next ones of a test round of `test_nepisode` episodes.

        Returns:
            the host's EpisodeBatch, filled by one update.
        """
        if test_mode:
            return self._run_test()
        batch, episodes = self._play(self.batch_size, TRAIN, store=True)
        self.t_env += sum(episode["length"] for episode in episodes)
        if self.decisions is not None:
            self.decisions += sum(episode["decisions"] for episode in episodes)
        self._collect(episodes, self.train_returns, self.train_stats)
        if self.t_env - self.log_train_stats_t >= self.args.runner_log_interval:
            self._log(self.train_returns, self.train_stats, "")
            self.logger.log_stat("epsilon", self.mac.action_selector.epsilon, self.t_env)
            self.log_train_stats_t = self.t_env
        return batch

    def evaluate(self, n_episodes: int) -> list[dict[str, Any]]:
        """Play exactly `n_episodes` test episodes, log their statistics and record them.

        Returns:
            one dict an episode, in the order of their seeds: seed, return, length, decisions, the family's metrics.
        """
        episodes: list[dict[str, Any]] = []
        while len(episodes) < n_episodes:
            n_now = min(TEST_BATCH, n_episodes - len(episodes))
            episodes += self._play(n_now, TEST, store=False)[1]
        self._finish_test(episodes)
        return episodes

    def _run_test(self) -> Any:
        """One call of a host's test loop; the calls of a round play `test_nepisode` episodes together."""
        n_wanted = self.args.test_nepisode
        if self.args.evaluate or self.args.save_replay:
            n_now = 1  # such a host calls test_nepisode times
        else:
            n_left = n_wanted - len(self._tested)
            n_now = n_left if n_left < 2 * self.batch_size else self.batch_size
        batch, episodes = self._play(n_now, TEST, store=True)
        self._tested += episodes
        if len(self._tested) >= n_wanted:
            self._finish_test(self._tested)
            self._tested = []
        return batch

    def _finish_test(self, episodes: list[dict[str, Any]]) -> None:
        self._collect(episodes, self.test_returns, self.test_stats)
        self._log(self.test_returns, self.test_stats, "test_")
        if self._recorder is not None:
            self._recorder.test(self.t_env, episodes, decisions=self.decisions)

    def _play(self, n_episodes: int, stream: str, store: bool) -> tuple[Any, list[dict[str, Any]]]:
        """Play the stream's next `n_episodes`; gives the batch (None unless stored) and their results."""
        simulator = self._simulator(n_episodes)
        first = self._n_played[stream]
        seeds = [episode_seed(self.args.seed, stream, first + k) for k in range(n_episodes)]
        test_mode = stream == TEST
        rollout = self._rollout(n_episodes) if store else None

        simulator.reset(seeds)
        self.mac.init_hidden(batch_size=n_episodes, seeds=seeds if test_mode else None)
        returns = np.zeros(n_episodes, np.float64)
        actions = np.full((n_episodes, simulator.n_agents), NO_ACTION, np.int64)
        rows = np.arange(n_episodes)  # episodes that get an action now; the last one is never executed
        t = 0
        while True:
            running = ~(simulator.terminated | simulator.truncated)
            acting = rows if store else rows[running[rows]]
            if len(acting):
                actions[acting] = self._act(simulator, actions, acting, test_mode)
            if rollout is not None:
                rollout.observe(t, simulator, actions, acting)
            rows = rows[running[rows]]
            if not len(rows):
                break
            simulator.step(actions)
            check_rewards(simulator, seeds)
            if rollout is not None:
                rollout.reward(t, simulator, rows)
            returns += simulator.reward
            if test_mode and self.args.render:
                call_family(simulator, "render", NO_RENDER)
            t += 1

        self.t = t
        self._n_played[stream] = first + n_episodes
        batch = None
        if rollout is not None:
            batch = rollout.write(self._new_batch, simulator, seeds)
        return batch, results(simulator, seeds, returns)

    def _act(
        self, simulator: Simulator, last_actions: np.ndarray, rows: np.ndarray, test_mode: bool
    ) -> np.ndarray:
        obs, avail = simulator.obs, simulator.avail_actions
        if len(rows) < len(obs):
            obs, avail, last_actions = obs[rows], avail[rows], last_actions[rows]
        if not self._shows_state:
            return self.mac.act(obs, avail, last_actions, rows, self.t_env, test_mode)
        state = simulator.state if len(rows) == len(simulator.state) else simulator.state[rows]
        return self.mac.act(obs, avail, last_actions, rows, self.t_env, test_mode, state)

    def _simulator(self, batch_size: int) -> Simulator:
        if batch_size not in self._simulators:
            self._simulators[batch_size] = self._build(batch_size)
        return self._simulators[batch_size]

    def _rollout(self, batch_size: int) -> Rollout:
        if batch_size not in self._rollouts:
            self._rollouts[batch_size] = Rollout(self._simulator(batch_size))
        return self._rollouts[batch_size]

    # statistics

    def _collect(
        self, episodes: list[dict[str, Any]], returns: list[float], stats: dict[str, float]
    ) -> None:
        """Add episodes to the sums that are logged as means."""
        for episode in episodes:
            returns.append(episode["return"])
            stats["n_episodes"] = stats.get("n_episodes", 0) + 1
            stats["ep_length"] = stats.get("ep_length", 0) + episode["length"]
            for name, value in episode.items():
                if name not in ("seed", "return", "length"):
                    stats[name] = stats.get(name, 0) + value

    def _log(self, returns: list[float], stats: dict[str, float], prefix: str) -> None:
        """Log means over the episodes collected, under the host's names, and forget them."""
        self.logger.log_stat(prefix + "return_mean", float(np.mean(returns)), self.t_env)
        self.logger.log_stat(prefix + "return_std", float(np.std(returns)), self.t_env)
        for name, total in stats.items():
            if name != "n_episodes":
                self.logger.log_stat(f"{prefix}{name}_mean", total / stats["n_episodes"], self.t_env)
        returns.clear()
        stats.clear()

    # the rest of the host's interface

    def save_replay(self) -> Any:
        """Let the family save a replay.

        Raises:
            ValueError: the family has none.
        """
        return call_family(self._simulators[self.batch_size], "save_replay", NO_REPLAY)

    def close_env(self) -> None:
        """Let go of what the simulators hold."""
        for simulator in self._simulators.values():
            simulator.close()

    def resume_state(self) -> dict[str, Any]:
        """Counters, and the statistics not logged yet."""
        return {
            "t_env": self.t_env,
            "decisions": self.decisions,
            "log_train_stats_t": self.log_train_stats_t,
            "n_played": dict(self._n_played),
            "train_returns": list(self.train_returns),
            "train_stats": dict(self.train_stats),
            "tested": [dict(episode) for episode in self._tested],
        }

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """Go on as the runner did whose `resume_state` this is."""
        self.t_env = state["t_env"]
        self.decisions = state.get("decisions")  # older checkpoints do not tell
        self.log_train_stats_t = state["log_train_stats_t"]
        self._n_played = dict(state["n_played"])
        self.train_returns = list(state["train_returns"])
        self.train_stats = dict(state["train_stats"])
        self._tested = [dict(episode) for episode in state["tested"]]
