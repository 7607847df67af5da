"""Replay buffers: episodes go in, random batches of them come out."""

import logging
from typing import Any, Mapping, Sequence

import numpy as np

from epymarl_lite.components.episode_batch import EpisodeBatch, Preprocess, Scheme, complete_scheme
from epymarl_lite.components.episode_code import EpisodeCode, played_steps
from epymarl_lite.components.memory import check_fits, compact_bytes_per_step, plain_bytes_per_step

__all__ = ["PlainReplayBuffer", "ReplayBuffer", "predicted_bytes"]

_LOG = logging.getLogger(__name__)
_MEASURE_AFTER = 32  # episodes; then the prediction is made again from what they take


class _Ring:
    """Counters of a ring of episodes and the random stream that samples from it.

    Episode number `n` (counted from 0 over the whole run) lies in slot n % buffer_size.
    """

    def __init__(self, buffer_size: int, seed: int):
        if buffer_size < 1:
            raise ValueError(
                f"replay buffer: buffer_size={buffer_size} is not accepted. Use at least 1 episode."
            )
        self.buffer_size = buffer_size
        self.n_inserted = 0
        self._generator = np.random.default_rng(seed)

    @property
    def episodes_in_buffer(self) -> int:
        """How many episodes can be sampled."""
        return min(self.n_inserted, self.buffer_size)

    @property
    def buffer_index(self) -> int:
        """The slot that the next episode goes to."""
        return self.n_inserted % self.buffer_size

    def can_sample(self, batch_size: int) -> bool:
        """Whether there are `batch_size` different episodes."""
        return self.episodes_in_buffer >= batch_size

    def resume_state(self) -> dict[str, Any]:
        """Counters and random state; the episodes themselves are `code_of`."""
        return {"n_inserted": self.n_inserted, "generator": self._generator.bit_generator.state}

    def load_resume_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `resume_state`; the episodes are put back with `put_code`."""
        self.n_inserted = state["n_inserted"]
        self._generator.bit_generator.state = state["generator"]

    def _sampled_slots(self, batch_size: int) -> np.ndarray:
        if not self.can_sample(batch_size):
            raise ValueError(
                f"replay buffer: {batch_size} episodes were asked for, {self.episodes_in_buffer} are there. "
                "Ask can_sample(batch_size) first."
            )
        if self.episodes_in_buffer == batch_size:
            return np.arange(batch_size)
        return self._generator.choice(self.episodes_in_buffer, batch_size, replace=False)


class ReplayBuffer(_Ring):
    """EPyMARL's replay buffer, holding every episode in a lossless code (episode_code.py) in main memory.

    Args:
        scheme, groups, preprocess: as of an `EpisodeBatch`.
        buffer_size: episodes held; further ones replace the oldest.
        max_seq_length: T, the episode limit + 1.
        device: where samples are delivered.
        seed: of the random stream that samples; nothing else draws from it.
    """

    def __init__(
        self,
        scheme: Scheme,
        groups: Mapping[str, int],
        buffer_size: int,
        max_seq_length: int,
        preprocess: Preprocess | None = None,
        device: Any = "cpu",
        seed: int = 0,
    ):
        super().__init__(buffer_size, seed)
        self.preprocess = {} if preprocess is None else preprocess
        self.scheme = complete_scheme(scheme, self.preprocess)
        self.groups = groups
        self.max_seq_length = max_seq_length
        self.device = device
        self._code = EpisodeCode(self.scheme, groups, max_seq_length)
        self._episodes: dict[int, np.ndarray] = {}  # slot -> coded episode
        self._n_bytes = 0
        self._sample: EpisodeBatch | None = None
        self._views: list[np.ndarray] = []

    @property
    def n_bytes(self) -> int:
        """Bytes that the stored episodes take."""
        return self._n_bytes

    def insert_episode_batch(self, ep_batch: EpisodeBatch) -> None:
        """Store every episode of `ep_batch`, which is not kept.

        Raises:
            ValueError: its episodes are longer than T, or memory will not do for buffer_size episodes.
        """
        if ep_batch.max_seq_length > self.max_seq_length:
            raise ValueError(
                f"replay buffer: an episode batch has {ep_batch.max_seq_length} steps, at most "
                f"{self.max_seq_length} fit. Build the buffer with the runner's episode limit + 1."
            )
        ep_batch = _on_cpu(ep_batch)
        for b in range(ep_batch.batch_size):
            self.n_inserted += 1
            self.put_code(self.n_inserted - 1, self._code.encode(ep_batch, b))
            if self.n_inserted == min(_MEASURE_AFTER, self.buffer_size):
                self._predict_again()

    def sample(self, batch_size: int) -> EpisodeBatch:
        """`batch_size` different episodes, uniformly drawn, up to the last step that any of them played.

        The batch is reused by the next call: copy what you keep.

        Raises:
            ValueError: fewer episodes are there.
        """
        return self.episodes(self._sampled_slots(batch_size))

    def episodes(self, slots: Sequence[int] | np.ndarray) -> EpisodeBatch:
        """The episodes in `slots`, in that order, in the batch that `sample` uses."""
        n = len(slots)
        if self._sample is None or self._sample.batch_size != n:
            self._sample = EpisodeBatch(
                self.scheme_without_derived(), self.groups, n, self.max_seq_length, preprocess=self.preprocess
            )
            self._views = self._code.views(self._sample)
        codes = [self._episodes[slot] for slot in slots]
        n_steps = max(played_steps(code) for code in codes)
        for b, code in enumerate(codes):
            self._code.decode(code, self._views, b, n_steps)
        batch = self._sample[:, :n_steps]
        if str(self.device) != "cpu":
            batch.to(self.device)
        return batch

    def scheme_without_derived(self) -> Scheme:
        """The scheme as an `EpisodeBatch` wants it."""
        derived = {name for name, _ in self.preprocess.values()} | {"filled"}
        return {name: info for name, info in self.scheme.items() if name not in derived}

    def code_of(self, number: int) -> np.ndarray:
        """[n] uint8, the coded episode `number` (counted over the whole run)."""
        return self._episodes[number % self.buffer_size]

    def put_code(self, number: int, code: np.ndarray) -> None:
        """Store a coded episode under its number."""
        slot = number % self.buffer_size
        if slot in self._episodes:
            self._n_bytes -= self._episodes[slot].nbytes
        self._episodes[slot] = code
        self._n_bytes += code.nbytes

    def clear(self) -> None:
        """Forget every episode; the random stream goes on."""
        self.n_inserted = 0
        self._episodes.clear()
        self._n_bytes = 0

    def __repr__(self) -> str:
        return (
            f"ReplayBuffer of {self.episodes_in_buffer}/{self.buffer_size} episodes in {self.n_bytes} bytes. "
            f"Fields: {', '.join(self.scheme)}. Groups: {', '.join(self.groups)}."
        )

    def _predict_again(self) -> None:
        """Refuse early what memory will not hold, from what the first episodes took."""
        mean = self._n_bytes / len(self._episodes)
        check_fits(int(mean * (self.buffer_size - len(self._episodes))), self.buffer_size)
        _LOG.info(
            "Replay buffer: an episode takes %.0f KiB, %d will take about %.0f MiB.",
            mean / 2**10,
            self.buffer_size,
            mean * self.buffer_size / 2**20,
        )


class PlainReplayBuffer(_Ring):
    """EPyMARL's replay buffer as EPyMARL holds it: one `EpisodeBatch` of buffer_size episodes.

    Arguments as of `ReplayBuffer`; `device` is where all of it lives.
    """

    def __init__(
        self,
        scheme: Scheme,
        groups: Mapping[str, int],
        buffer_size: int,
        max_seq_length: int,
        preprocess: Preprocess | None = None,
        device: Any = "cpu",
        seed: int = 0,
    ):
        super().__init__(buffer_size, seed)
        self.batch = EpisodeBatch(
            scheme, groups, buffer_size, max_seq_length, preprocess=preprocess, device=device
        )
        self.scheme = self.batch.scheme
        self.groups = groups
        self.max_seq_length = max_seq_length
        self.device = device
        self._code = EpisodeCode(self.scheme, groups, max_seq_length)

    def insert_episode_batch(self, ep_batch: EpisodeBatch) -> None:
        """Copy every episode of `ep_batch` into the ring."""
        first = 0
        while first < ep_batch.batch_size:
            slot = self.buffer_index
            n = min(ep_batch.batch_size - first, self.buffer_size - slot)
            for name, value in ep_batch.data.transition_data.items():
                self.batch[name][slot : slot + n, : ep_batch.max_seq_length] = value[first : first + n]
                self.batch[name][slot : slot + n, ep_batch.max_seq_length :] = 0
            for name, value in ep_batch.data.episode_data.items():
                self.batch[name][slot : slot + n] = value[first : first + n]
            self.n_inserted += n
            first += n

    def sample(self, batch_size: int) -> EpisodeBatch:
        """`batch_size` different episodes, uniformly drawn, a copy.

        Raises:
            ValueError: fewer episodes are there.
        """
        return self.batch[self._sampled_slots(batch_size)]

    def code_of(self, number: int) -> np.ndarray:
        """[n] uint8, the coded episode `number` (counted over the whole run)."""
        slot = number % self.buffer_size
        return self._code.encode(_on_cpu(self.batch[slot : slot + 1]), 0)

    def put_code(self, number: int, code: np.ndarray) -> None:
        """Store a coded episode under its number."""
        slot = number % self.buffer_size
        episode = _on_cpu(self.batch[slot : slot + 1])
        self._code.decode(code, self._code.views(episode), 0, self.max_seq_length)
        for name in self.scheme:
            self.batch[name][slot : slot + 1] = episode[name]

    def clear(self) -> None:
        """Forget every episode; the random stream goes on."""
        self.n_inserted = 0


def predicted_bytes(
    scheme: Scheme,
    groups: Mapping[str, int],
    preprocess: Preprocess,
    buffer_size: int,
    max_seq_length: int,
    steps_at_most: int,
    compact: bool,
) -> int:
    """What a full replay buffer will take, in bytes.

    The plain buffer's size is exact. The compact one's is an estimate (one byte for a float32, which is
    what features with up to 255 values in an episode need); it is made again from the first episodes.

    Args:
        scheme, groups, preprocess: as of an `EpisodeBatch`.
        buffer_size: episodes.
        max_seq_length: T, the episode limit + 1.
        steps_at_most: steps that the run will play; the compact buffer stores no others.
        compact: which of the two.
    """
    scheme = complete_scheme(scheme, preprocess)
    if not compact:
        return buffer_size * max_seq_length * plain_bytes_per_step(scheme, groups)
    steps = min(buffer_size * max_seq_length, steps_at_most + max_seq_length)
    return steps * compact_bytes_per_step(scheme, groups)


def _on_cpu(batch: EpisodeBatch) -> EpisodeBatch:
    if str(batch.device) == "cpu":
        return batch
    copy = batch[:, :]
    copy.to("cpu")
    return copy
