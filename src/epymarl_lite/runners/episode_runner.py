"""One episode at a time, in this process."""

from typing import Any, Callable

from epymarl_lite.envs import REGISTRY as env_REGISTRY
from epymarl_lite.runners.base import (
    TEST,
    TRAIN,
    EnvError,
    Episode,
    Runner,
    checked_reward,
    is_terminal,
    numbers_of,
)


class EpisodeRunner(Runner):
    """EPyMARL's `episode` runner; test episodes have an environment of their own.

    Raises:
        ValueError: batch_size_run is not 1.
    """

    def __init__(self, args: Any, logger: Any, *, episode_seed: Callable[[int, str, int], int]):
        super().__init__(args, logger, episode_seed=episode_seed)
        if self.batch_size != 1:
            raise ValueError(
                f"runner=episode: batch_size_run={self.batch_size} is not accepted, it plays one at a time. "
                "Set batch_size_run=1, or runner=parallel."
            )
        self._envs: dict[str, Any] = {}
        self.env = self._env(TRAIN)
        self.episode_limit = self.env.episode_limit

    def get_env_info(self) -> dict[str, Any]:
        """Sizes of the task."""
        return self.env.get_env_info()

    def save_replay(self) -> None:
        """Let the environment of the test episodes save what it played."""
        self._env(TEST).save_replay()

    def close_env(self) -> None:
        """Close the environments."""
        for env in self._envs.values():
            env.close()

    def _env(self, stream: str) -> Any:
        if stream not in self._envs:
            env = make_env(self.args)
            if hasattr(env, "stream"):
                env.stream = stream
            self._envs[stream] = env
        return self._envs[stream]

    def _play(self, n_episodes: int, test_mode: bool) -> list[Episode]:
        stream = TEST if test_mode else TRAIN
        env, seed = self._env(stream), self._next_seeds(1, stream)[0]
        self.batch = self.new_batch()
        self.t = 0
        env.reset(seed=seed)
        self.mac.init_hidden(batch_size=self.batch_size)
        reward_sum, info, is_over = self._no_return(), {}, False
        while not is_over:
            actions = self._look_and_choose(env, test_mode)
            doing = f"{stream} episode with seed {seed}, step {self.t}, actions {actions[0].tolist()}"
            where = f"environment 0: {doing}"
            try:
                _, reward, terminated, truncated, info = env.step(actions[0].cpu().numpy())
            except Exception as error:
                raise EnvError(f"{where}: {type(error).__name__}: {error}") from error
            if test_mode and self.args.render:
                env.render()
            reward_sum = reward_sum + checked_reward(reward, where)
            after = {"actions": actions, "terminated": [(is_terminal(terminated, info),)]}
            after["reward"] = [(reward,)] if self.args.common_reward else [tuple(reward)]
            self.batch.update(after, ts=self.t)
            self.t += 1
            is_over = bool(terminated or truncated)
        self.batch.update({"actions": self._look_and_choose(env, test_mode)}, ts=self.t)
        return [Episode(seed, reward_sum, self.t, numbers_of(info, where))]

    def _look_and_choose(self, env: Any, test_mode: bool) -> Any:
        """Store what is seen now; returns actions [1, N]."""
        seen = {
            "state": [env.get_state()],
            "avail_actions": [env.get_avail_actions()],
            "obs": [env.get_obs()],
        }
        self.batch.update(seen, ts=self.t)
        return self.mac.select_actions(self.batch, t_ep=self.t, t_env=self.t_env, test_mode=test_mode)


def make_env(args: Any) -> Any:
    """The environment that the configuration names.

    Raises:
        ValueError: its name is not in the registry.
    """
    if args.env not in env_REGISTRY:
        raise ValueError(
            f"env={args.env!r} is not known. Known: {', '.join(sorted(env_REGISTRY)) or 'none'}."
        )
    return env_REGISTRY[args.env](
        **args.env_args, common_reward=args.common_reward, reward_scalarisation=args.reward_scalarisation
    )
