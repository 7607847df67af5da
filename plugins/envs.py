"""Asynchronous tasks as an EPyMARL environment: one episode, lists and scalars out."""

from typing import Any, Callable, Mapping

import numpy as np

from async_envs.core.seeding import TRAIN, episode_seed
from async_envs.core.simulator import Simulator
from plugins.vsp.environment import VSP

HOST_OPTIONS = ("key", "seed", "vsp", "common_reward", "reward_scalarisation")  # of env_args, not of a family

NO_KEY = "env_args: no key was given, a task's name is expected. Add env_args.key=async:poac."
TEAM_REWARD = "{key}: common_reward=False is not supported, the team has one reward. Use common_reward=True."
BAD_SCALARISATION = "{key}: reward_scalarisation={given!r} is not accepted. Use 'sum' or 'mean'."
BAD_REWARD = (
    "{key}: episode with seed {seed}, step {step}: the reward is {reward}, not a finite number. "
    "Report this with the key and the seed; the run cannot go on."
)
NO_RENDER = "{key}: this family has no pictures of its own. Leave out render=True."
NO_REPLAY = "{key}: this family saves no replays. Leave out save_replay=True."


def build_simulator(
    make_simulator: Callable[..., Simulator], env_args: Mapping[str, Any], batch_size: int
) -> Simulator:
    """The simulator that `env_args` describes, inside a Virtual Synchrony Proxy if `vsp` is True.

    Args:
        make_simulator: called as `make_simulator(key, batch_size=B, **options)`.
        env_args: `key`, the family's options (None is not handed on), and what EPyMARL adds.
        batch_size: B.

    Raises:
        ValueError: what `make_simulator` refuses, no key, or rewards other than the team's.
    """
    key = env_args.get("key")
    if key is None:
        raise ValueError(NO_KEY)
    if env_args.get("common_reward", True) is not True:
        raise ValueError(TEAM_REWARD.format(key=key))
    if env_args.get("reward_scalarisation", "sum") not in ("sum", "mean"):
        raise ValueError(BAD_SCALARISATION.format(key=key, given=env_args["reward_scalarisation"]))
    options = {
        name: value for name, value in env_args.items() if name not in HOST_OPTIONS and value is not None
    }
    simulator = make_simulator(key, batch_size=batch_size, **options)
    return VSP(simulator) if env_args.get("vsp") else simulator


class AsyncEnv:
    """One episode at a time, with EPyMARL's MultiAgentEnv methods.

    Arrays handed out are copies. Episode k since the last `seed` has the seed
    `episode_seed(seed, stream, k)`, unless `reset` is given one.

    Args:
        make_simulator: called as `make_simulator(key, batch_size=1, **options)`.
        key: the task's name, e.g. "async:poac-5".
        seed: of the whole sequence of episodes; None draws one.
        vsp: True shows 2N agents, the second half being proxies.
        common_reward, reward_scalarisation: EPyMARL's; the team has one reward, so only True and "sum" or
            "mean" (which agree) are accepted.
        options: the family's; None leaves one at its default.

    Attributes:
        stream: "train" or "test"; a runner that knows which one it plays sets it before `reset`.
    """

    def __init__(
        self,
        make_simulator: Callable[..., Simulator],
        key: str,
        seed: int | None = None,
        vsp: bool = False,
        common_reward: bool = True,
        reward_scalarisation: str = "sum",
        **options: Any,
    ):
        env_args = dict(
            options, key=key, vsp=vsp, common_reward=common_reward, reward_scalarisation=reward_scalarisation
        )
        self.simulator = build_simulator(make_simulator, env_args, batch_size=1)
        self.n_agents = self.simulator.n_agents
        self.episode_limit = self.simulator.episode_limit
        self.stream = TRAIN
        self.seed(seed)

    def seed(self, seed: int | None = None) -> None:
        """Begin a new sequence of episodes."""
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        self._n_episodes: dict[str, int] = {}

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Begin an episode: with this very seed, or with the next one of the sequence."""
        if seed is None:
            episode = self._n_episodes.get(self.stream, 0)
            self._n_episodes[self.stream] = episode + 1
            seed = episode_seed(self._seed, self.stream, episode)
        self._episode_seed = seed
        self.simulator.reset([seed])
        return self.get_obs(), {}

    def step(self, actions: Any) -> tuple[list[np.ndarray], float, bool, bool, dict[str, Any]]:
        """One step.

        Args:
            actions: N whole numbers; list, array or tensor.

        Returns:
            obs, reward, terminated, truncated, info. On the last step info holds `decisions` (actions that
            deciding agents chose), the family's metrics, and `episode_limit=True` if the step limit ended it.

        Raises:
            ValueError: an action that is not available.
            FloatingPointError: a reward that is not a finite number.
        """
        simulator = self.simulator
        simulator.step(np.asarray(actions).reshape(1, self.n_agents))
        check_rewards(simulator, [self._episode_seed])
        terminated, truncated = bool(simulator.terminated[0]), bool(simulator.truncated[0])
        info: dict[str, Any] = {}
        if terminated or truncated:
            info = {"decisions": float(simulator.decisions[0])}
            info |= {name: float(values[0]) for name, values in simulator.metrics.items()}
        if truncated:
            info["episode_limit"] = True
        return self.get_obs(), float(simulator.reward[0]), terminated, truncated, info

    def get_obs(self) -> list[np.ndarray]:
        """N arrays [O] float32."""
        return list(self.simulator.obs[0].copy())

    def get_obs_agent(self, agent_id: int) -> np.ndarray:
        """[O] float32."""
        return self.simulator.obs[0, agent_id].copy()

    def get_obs_size(self) -> int:
        """O."""
        return self.simulator.obs_dim

    def get_state(self) -> np.ndarray:
        """[S] float32."""
        return self.simulator.state[0].copy()

    def get_state_size(self) -> int:
        """S."""
        return self.simulator.state_dim

    def get_avail_actions(self) -> list[np.ndarray]:
        """N arrays [A] uint8."""
        return list(self.simulator.avail_actions[0].copy())

    def get_avail_agent_actions(self, agent_id: int) -> np.ndarray:
        """[A] uint8."""
        return self.simulator.avail_actions[0, agent_id].copy()

    def get_total_actions(self) -> int:
        """A."""
        return self.simulator.n_actions

    def get_env_info(self) -> dict[str, int]:
        """Sizes under EPyMARL's names."""
        return env_info(self.simulator)

    def get_stats(self) -> dict[str, float]:
        """Nothing: the metrics are in the last step's info."""
        return {}

    def get_print_info(self) -> None:
        """Nothing to print (asked for by PyMARLzoo+)."""
        return None

    def render(self) -> Any:
        """The family's picture.

        Raises:
            ValueError: the family has none.
        """
        check_pictures(self.simulator)
        return call_family(self.simulator, "render", NO_RENDER)

    def save_replay(self) -> Any:
        """Let the family save its replay.

        Raises:
            ValueError: the family has none.
        """
        return call_family(self.simulator, "save_replay", NO_REPLAY)

    def close(self) -> None:
        """Let go of what the family holds, if anything."""
        self.simulator.close()


def env_info(simulator: Simulator) -> dict[str, int]:
    """A simulator's sizes under EPyMARL's names."""
    return {
        "state_shape": simulator.state_dim,
        "obs_shape": simulator.obs_dim,
        "n_actions": simulator.n_actions,
        "n_agents": simulator.n_agents,
        "episode_limit": simulator.episode_limit,
    }


def check_rewards(simulator: Simulator, seeds: Any) -> None:
    """Refuse rewards that are not finite.

    Args:
        simulator: of B episodes, after a step.
        seeds: B episode seeds, named in the error.

    Raises:
        FloatingPointError: naming the first such episode.
    """
    finite = np.isfinite(simulator.reward)
    if not finite.all():
        episode = int(np.argmin(finite))
        raise FloatingPointError(
            BAD_REWARD.format(
                key=simulator.key,
                seed=int(seeds[episode]),
                step=int(simulator.t[episode]),
                reward=simulator.reward[episode],
            )
        )


def check_pictures(simulator: Simulator) -> None:
    """Refuse a family that draws nothing.

    Raises:
        ValueError: it has no render modes; one line.
    """
    if not _innermost(simulator).render_modes:
        raise ValueError(NO_RENDER.format(key=simulator.key))


def family_method(simulator: Simulator, name: str, missing: str) -> Callable[[], Any]:
    """An optional method of the family's simulator (of the one inside a proxy, too).

    Raises:
        ValueError: the text `missing`, formatted with the key, if the family has no such method.
    """
    method: Callable[[], Any] | None = getattr(_innermost(simulator), name, None)
    if method is None:
        raise ValueError(missing.format(key=simulator.key))
    return method


def call_family(simulator: Simulator, name: str, missing: str) -> Any:
    """Call an optional method of the family's simulator; raises as `family_method`."""
    return family_method(simulator, name, missing)()


def _innermost(simulator: Simulator) -> Simulator:
    return simulator.simulator if isinstance(simulator, VSP) else simulator
