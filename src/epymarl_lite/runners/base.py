"""What EPyMARL's two runners share: counters, statistics, the test cycle."""

from functools import partial
from typing import Any, Callable, Mapping, NamedTuple

import numpy as np

from epymarl_lite.components.episode_batch import EpisodeBatch

TRAIN, TEST = "train", "test"
DECISIONS = "decisions"  # in the last step's info: actions that deciding agents chose in the episode


class EnvError(RuntimeError):
    """An environment failed; one line with its number, stream, seed, step and actions."""


class Episode(NamedTuple):
    """How one episode went."""

    seed: int
    reward_sum: Any  # float, or [N] where every agent has a reward of its own
    length: int  # steps
    info: dict[str, float]  # of the last step


class Runner:
    """Plays episodes; subclasses say how.

    Args:
        args: the run's configuration.
        logger: has `log_stat(key, value, t)` and `recorder`.
        episode_seed: (run seed, stream, episode number) -> seed.

    Attributes:
        batch: the last rollout.
        t_env: environment steps of all training episodes so far.
        decisions: what their infos say under that name, summed; None where one did not tell.
    """

    def __init__(self, args: Any, logger: Any, *, episode_seed: Callable[[int, str, int], int]):
        self.args = args
        self.logger = logger
        self.batch_size: int = args.batch_size_run
        self.episode_limit: int
        self.batch: EpisodeBatch
        self.t = 0
        self.t_env = 0
        self.decisions: int | None = 0
        self.train_returns: list[Any] = []
        self.test_returns: list[Any] = []
        self.train_stats: dict[str, float] = {}
        self.test_stats: dict[str, float] = {}
        self.log_train_stats_t = -args.runner_log_interval - 1  # the first rollout is logged
        self._seed_of = partial(episode_seed, args.seed)
        self._n_played = {TRAIN: 0, TEST: 0}

    def setup(self, scheme: Any, groups: Any, preprocess: Any, mac: Any) -> None:
        """Take the batch layout and the controller that chooses actions."""
        self.new_batch = partial(
            EpisodeBatch,
            scheme,
            groups,
            self.batch_size,
            self.episode_limit + 1,
            preprocess=preprocess,
            device=self.args.device,
        )
        self.mac = mac

    def run(self, test_mode: bool = False) -> EpisodeBatch:
        """Play one rollout of `batch_size` episodes; the last of a test cycle plays only what is left."""
        n = self.batch_size
        if test_mode:
            n = min(n, self.args.test_nepisode - len(self.test_returns))
        episodes = self._play(n, test_mode)
        if not test_mode:
            self.t_env += sum(episode.length for episode in episodes)
            self.decisions = plus_decisions(self.decisions, episodes)
        self._count(episodes, test_mode)
        return self.batch

    def evaluate(self, n_episodes: int) -> list[dict[str, Any]]:
        """Play exactly `n_episodes` test episodes, log their means and record each.

        Returns:
            One dict an episode: seed, return (summed over agents), length, and the last step's info.
        """
        self.test_returns.clear()
        self.test_stats.clear()
        played: list[Episode] = []
        while len(played) < n_episodes:
            episodes = self._play(min(self.batch_size, n_episodes - len(played)), True)
            self._add(episodes, self.test_returns, self.test_stats)
            played += episodes
        self._log(self.test_returns, self.test_stats, "test_")
        rows = [
            {"seed": e.seed, "return": float(np.sum(e.reward_sum)), "length": e.length, **row_of(e.info)}
            for e in played
        ]
        if self.logger.recorder is not None:
            self.logger.recorder.test(self.t_env, rows, decisions=self.decisions)
        return rows

    def resume_state(self) -> dict[str, Any]:
        """Counters and the statistics that are not logged yet."""
        return {
            "t_env": self.t_env,
            "decisions": self.decisions,
            "log_train_stats_t": self.log_train_stats_t,
            "n_played": dict(self._n_played),
            "train_returns": [np.asarray(value).tolist() for value in self.train_returns],
            "train_stats": dict(self.train_stats),
        }

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `resume_state`."""
        self.t_env = state["t_env"]
        self.decisions = state.get("decisions")  # older checkpoints do not tell
        self.log_train_stats_t = state["log_train_stats_t"]
        self._n_played = dict(state["n_played"])
        self.train_returns = [np.asarray(value) for value in state["train_returns"]]
        self.train_stats = dict(state["train_stats"])

    def _play(self, n_episodes: int, test_mode: bool) -> list[Episode]:
        raise NotImplementedError

    def _next_seeds(self, n_episodes: int, stream: str) -> list[int]:
        first = self._n_played[stream]
        self._n_played[stream] += n_episodes
        return [self._seed_of(stream, first + i) for i in range(n_episodes)]

    def _no_return(self) -> Any:
        return 0.0 if self.args.common_reward else np.zeros(self.args.n_agents)

    def _count(self, episodes: list[Episode], test_mode: bool) -> None:
        if test_mode:
            self._add(episodes, self.test_returns, self.test_stats)
            if len(self.test_returns) >= self.args.test_nepisode:
                self._log(self.test_returns, self.test_stats, "test_")
            return
        self._add(episodes, self.train_returns, self.train_stats)
        if self.t_env - self.log_train_stats_t >= self.args.runner_log_interval:
            self._log(self.train_returns, self.train_stats, "")
            selector = self.mac.action_selector
            if hasattr(selector, "epsilon"):
                self.logger.log_stat("epsilon", selector.epsilon, self.t_env)
            self.log_train_stats_t = self.t_env

    @staticmethod
    def _add(episodes: list[Episode], returns: list[Any], stats: dict[str, float]) -> None:
        for episode in episodes:
            returns.append(episode.reward_sum)
            for key, value in {**episode.info, "n_episodes": 1.0, "ep_length": float(episode.length)}.items():
                stats[key] = stats.get(key, 0.0) + value

    def _log(self, returns: list[Any], stats: dict[str, float], prefix: str) -> None:
        """Log means over the episodes collected, and forget them."""
        rows = np.array(returns)
        if self.args.common_reward:
            self.logger.log_stat(prefix + "return_mean", rows.mean(), self.t_env)
            self.logger.log_stat(prefix + "return_std", rows.std(), self.t_env)
        else:
            for i in range(self.args.n_agents):
                self.logger.log_stat(f"{prefix}agent_{i}_return_mean", rows[:, i].mean(), self.t_env)
                self.logger.log_stat(f"{prefix}agent_{i}_return_std", rows[:, i].std(), self.t_env)
            self.logger.log_stat(prefix + "total_return_mean", rows.sum(axis=-1).mean(), self.t_env)
            self.logger.log_stat(prefix + "total_return_std", rows.sum(axis=-1).std(), self.t_env)
        for key, value in stats.items():
            if key != "n_episodes":
                self.logger.log_stat(f"{prefix}{key}_mean", value / stats["n_episodes"], self.t_env)
        returns.clear()
        stats.clear()


def numbers_of(info: Mapping[str, Any], where: str) -> dict[str, float]:
    """The last step's info as floats.

    Raises:
        EnvError: a value that is not one number.
    """
    numbers = {}
    for key, value in info.items():
        try:
            numbers[key] = float(value)
        except (TypeError, ValueError) as error:
            raise EnvError(
                f"{where}: info[{key!r}]={value!r} is not a number. Put scalars into info."
            ) from error
    return numbers


def row_of(info: Mapping[str, float]) -> dict[str, float]:
    """The last step's info as it is recorded: decisions, which are counted, as a whole number."""
    if DECISIONS not in info:
        return dict(info)
    return {**info, DECISIONS: int(info[DECISIONS])}


def plus_decisions(before: int | None, episodes: list[Episode]) -> int | None:
    """`before` and the decisions of these episodes; None where either is not known."""
    told = [int(episode.info[DECISIONS]) for episode in episodes if DECISIONS in episode.info]
    if before is None or len(told) < len(episodes):
        return None
    return before + sum(told)


def checked_reward(reward: Any, where: str) -> Any:
    """The reward itself.

    Raises:
        EnvError: it is NaN or infinite.
    """
    if not np.isfinite(reward).all():
        raise EnvError(f"{where}: the reward is {reward}. Rewards must be finite numbers.")
    return reward


def is_terminal(terminated: Any, info: Mapping[str, Any]) -> bool:
    """Whether the task itself ended the episode; a step limit is no end, its value is bootstrapped."""
    return bool(terminated) and not info.get("episode_limit", False)
