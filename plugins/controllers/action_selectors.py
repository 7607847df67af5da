"""Choosing one available action per agent from utilities."""

from typing import Any

import numpy as np

from async_envs.core.seeding import TEST, TRAIN, episode_seed


class EpsilonGreedy:
    """With probability epsilon a uniformly drawn available action, else the best available one.

    Epsilon falls linearly from `start` to `finish` within `anneal_time` environment steps. Training and
    testing draw from generators of their own, so that testing does not move training.

    Attributes:
        epsilon: the training epsilon of the last training choice, for logging.
    """

    def __init__(self, *, start: float, finish: float, anneal_time: int, evaluation: float, seed: int):
        self._start = start
        self._finish = finish
        self._anneal_time = anneal_time
        self._evaluation = evaluation
        self._generators = {
            stream: np.random.Generator(np.random.PCG64(episode_seed(seed, f"actions/{stream}", 0)))
            for stream in (TRAIN, TEST)
        }
        self.epsilon = start

    def schedule(self, t_env: int) -> float:
        """The training epsilon after `t_env` environment steps."""
        return max(self._finish, self._start - (self._start - self._finish) * t_env / self._anneal_time)

    def select(self, q: np.ndarray, avail: np.ndarray, t_env: int, test_mode: bool) -> np.ndarray:
        """One action for each agent.

        Args:
            q: [b, N, A] float, utilities.
            avail: [b, N, A], non-zero where the action may be chosen; a row of zeros gets action 0.
            t_env: environment steps of training so far.
            test_mode: True takes the evaluation epsilon and the generator for tests.

        Returns:
            [b, N] int64.
        """
        if test_mode:
            epsilon = self._evaluation
        else:
            epsilon = self.epsilon = self.schedule(t_env)
        allowed = avail != 0
        actions = np.where(allowed, q, -np.inf).argmax(-1)
        if epsilon > 0.0:
            generator = self._generators[TEST if test_mode else TRAIN]
            explores, which = generator.random((2, *actions.shape))
            count = allowed.cumsum(-1)
            drawn = (count > which[..., None] * count[..., -1:]).argmax(-1)  # the first count above u * total
            actions = np.where(explores < epsilon, drawn, actions)
        return actions

    def resume_state(self) -> dict[str, Any]:
        """Epsilon and both generators, as texts and numbers."""
        return {
            "epsilon": float(self.epsilon),
            "generators": {name: pcg64_state(generator) for name, generator in self._generators.items()},
        }

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """Go on as the selector did whose `resume_state` this is."""
        self.epsilon = state["epsilon"]
        for name, generator in self._generators.items():
            load_pcg64_state(generator, state["generators"][name])


def pcg64_state(generator: np.random.Generator) -> dict[str, Any]:
    """A PCG64 generator's state; its 128-bit numbers as decimal text."""
    state = generator.bit_generator.state
    return {
        "state": str(state["state"]["state"]),
        "inc": str(state["state"]["inc"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def load_pcg64_state(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Put a generator where `pcg64_state` found it."""
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(state["state"]), "inc": int(state["inc"])},
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }
