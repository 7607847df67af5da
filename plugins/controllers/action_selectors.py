"""Choosing one available action per agent, from utilities or from the logits of a policy."""

import math
from typing import Any, Sequence

import numpy as np
import torch
from torch import Tensor

from async_envs.core.seeding import TEST, TRAIN, episode_seed


class EpsilonGreedy:
    """With probability epsilon a uniformly drawn available action, else the best available one.

    Epsilon falls linearly from `start` to `finish` within `anneal_time` environment steps. Training and
    testing draw from generators of their own, so that testing does not move training. Test episodes whose
    seeds are told (`begin_tests`) draw from a stream each, whatever is played beside them.

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
        self._episodes: list[np.random.Generator] = []  # of the test episodes under way, if told
        self.epsilon = start

    def begin_tests(self, seeds: Sequence[int] | None) -> None:
        """Test episodes with these seeds begin; None: their draws follow one another in one stream."""
        self._episodes = [
            np.random.Generator(np.random.PCG64(episode_seed(seed, f"actions/{TEST}", 0)))
            for seed in seeds or ()
        ]

    def schedule(self, t_env: int) -> float:
        """The training epsilon after `t_env` environment steps."""
        return max(self._finish, self._start - (self._start - self._finish) * t_env / self._anneal_time)

    def select(
        self, q: np.ndarray, avail: np.ndarray, t_env: int, test_mode: bool, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """One action for each agent.

        Args:
            q: [b, N, A] float, utilities.
            avail: [b, N, A], non-zero where the action may be chosen; a row of zeros gets action 0.
            t_env: environment steps of training so far.
            test_mode: True takes the evaluation epsilon and the random numbers for tests.
            rows: [b] int64, which of the episodes of `begin_tests` these are; None where it was told none.

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
            explores, which = self._uniform(2, actions.shape, test_mode, rows)
            count = allowed.cumsum(-1)
            drawn = (count > which[..., None] * count[..., -1:]).argmax(-1)  # the first count above u * total
            actions = np.where(explores < epsilon, drawn, actions)
        return actions

    def _uniform(
        self, n: int, shape: tuple[int, ...], test_mode: bool, rows: np.ndarray | None
    ) -> np.ndarray:
        """Random numbers [n, b, N] from [0, 1), for `shape` = (b, N)."""
        if test_mode and self._episodes and rows is not None:
            return np.stack([self._episodes[row].random((n, shape[1])) for row in rows], 1)
        return self._generators[TEST if test_mode else TRAIN].random((n, *shape))

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


class MixtureSelector(EpsilonGreedy):
    """Epsilon-greedy, whose greedy part is now and then replaced by a draw from an exploration policy.

    With probability epsilon a uniformly drawn available action; else with probability
    beta = max(start (1 - t_env / t_max), finish) one of the policy's, softmax over the available actions;
    else the best available one.

    Attributes:
        beta: of the last choice, for logging.

    Source: LXXXXR/ICES 2fcc473.
    """

    def __init__(self, *, beta_start: float, beta_finish: float, t_max: int, **epsilon: Any):
        super().__init__(**epsilon)
        self._beta_start, self._beta_finish, self._t_max = beta_start, beta_finish, t_max
        self.beta = self.beta_schedule(0)

    def beta_schedule(self, t_env: int) -> float:
        """The share of the exploration policy after `t_env` environment steps."""
        return max(self._beta_start * (1.0 - t_env / self._t_max), self._beta_finish)

    def select_with_policy(
        self, q: np.ndarray, logits: np.ndarray, avail: np.ndarray, t_env: int
    ) -> np.ndarray:
        """One training action for each agent.

        Args:
            q, logits: [b, N, A] float; utilities, and the exploration policy before its softmax.
            avail: [b, N, A], non-zero where the action may be chosen; a row of zeros gets action 0.
            t_env: environment steps of training so far.

        Returns:
            [b, N] int64.
        """
        self.epsilon, self.beta = self.schedule(t_env), self.beta_schedule(t_env)
        allowed = avail != 0
        explores, which, follows, place = self._generators[TRAIN].random((4, *q.shape[:2]))
        actions = np.where(allowed, q, -np.inf).argmax(-1)
        drawn = _draw(_softmax_weights(logits, allowed), place)
        actions = np.where(follows < self.beta, drawn, actions)
        return np.where(explores < self.epsilon, _draw(allowed.astype(np.float64), which), actions)


class SoftPolicies(EpsilonGreedy):
    """Draws from a softmax over the available actions, mixed with epsilon of a uniform one.

        pi_epsilon = (1 - epsilon) pi + epsilon / n

    The learner asks for the same probabilities (`log_policy`), at the epsilon of the latest choice: where several
    rollouts fill a batch, the earlier ones were played at a slightly larger one.

    Attributes:
        epsilon: the training epsilon of the last training choice.
        mask_unavailable: True, pi and n count available actions. False: all actions; unavailable ones are
            left out when drawing only, and `log_policy` is not the distribution drawn from (the reference
            of MAC-IAICC).
    """

    def __init__(
        self, *, start: float, finish: float, anneal_time: int, greedy_tests: bool, mask_unavailable: bool,
        seed: int,
    ):  # fmt: skip
        super().__init__(start=start, finish=finish, anneal_time=anneal_time, evaluation=0.0, seed=seed)
        self._greedy_tests = greedy_tests
        self.mask_unavailable = mask_unavailable

    def log_policy(self, logits: Tensor, avail: Tensor, epsilon: float | None = None) -> Tensor:
        """log pi_epsilon; under `mask_unavailable` -inf at unavailable actions.

        Args:
            logits: [..., A].
            avail: [..., A], non-zero where the action may be chosen; at least one in each row.
            epsilon: None takes that of the last training choice.

        Returns:
            [..., A].
        """
        epsilon = self.epsilon if epsilon is None else epsilon
        allowed = avail != 0 if self.mask_unavailable else torch.ones_like(avail, dtype=torch.bool)
        log_pi = torch.log_softmax(logits.masked_fill(~allowed, -math.inf), -1)
        if epsilon <= 0.0:
            return log_pi
        mixed = (1.0 - epsilon) * log_pi.exp() + epsilon / allowed.sum(-1, keepdim=True).to(logits.dtype)
        return mixed.masked_fill(~allowed, 1.0).log().masked_fill(~allowed, -math.inf)

    def select(
        self, q: np.ndarray, avail: np.ndarray, t_env: int, test_mode: bool, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """One action for each agent, from logits `q`; arguments and result as EpsilonGreedy.select's."""
        epsilon = 0.0 if test_mode else self.schedule(t_env)
        if not test_mode:
            self.epsilon = epsilon
        allowed = avail != 0
        if test_mode and self._greedy_tests:
            return np.where(allowed, q, -np.inf).argmax(-1)
        never_empty = torch.from_numpy(allowed | ~allowed.any(-1, keepdims=True))
        log_pi = self.log_policy(torch.from_numpy(q).double(), never_empty, epsilon)
        which = self._uniform(1, allowed.shape[:-1], test_mode, rows)[0]
        return _draw(np.where(allowed, log_pi.exp().numpy(), 0.0), which)


def _softmax_weights(logits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """exp(logits) where allowed, 0 elsewhere, each row scaled so that nothing overflows."""
    highest = np.where(allowed, logits, -np.inf).max(-1, keepdims=True)
    shifted = np.where(allowed, logits - np.where(np.isfinite(highest), highest, 0.0), -np.inf)
    return np.exp(shifted.astype(np.float64))


def _draw(weights: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Indices [b, N] drawn in proportion to `weights` [b, N, A] from uniform numbers `place` [b, N] in [0, 1)."""
    below = weights.cumsum(-1)
    return (below > place[..., None] * below[..., -1:]).argmax(-1)


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
