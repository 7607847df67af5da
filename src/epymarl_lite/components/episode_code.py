"""One episode of a batch as one array of bytes, bit for bit, and back.

Layout, little-endian: header (4 int32: stored rows R, all rows T, played rows, 0), then for every field
its counts, table, raw columns and packed codes (column_code.py), each padded to 4 bytes. Rows at the
end that only repeat the row before them (the padding behind a short episode) are not stored.
"""

from typing import Any, Mapping

import numpy as np
import torch as th

from epymarl_lite.components import column_code
from epymarl_lite.components.episode_batch import EpisodeBatch, field_shape

_HEADER_BYTES = 16
_WORD = 4  # bytes


class EpisodeCode:
    """Codes episodes of one scheme.

    Args:
        scheme, groups: as of an `EpisodeBatch`, derived fields included.
        max_seq_length: T of the longest batch.
    """

    def __init__(
        self, scheme: Mapping[str, Mapping[str, Any]], groups: Mapping[str, int], max_seq_length: int
    ):
        self.fields: list[_Field] = [_Field(name, info, groups) for name, info in scheme.items()]
        widest = max(field.n_words for field in self.fields)
        self._codes = np.empty(max_seq_length * widest, np.uint8)
        self._table = np.empty((widest, column_code.MOST_DISTINCT), np.uint32)
        self._slots = np.empty(column_code.N_SLOTS, np.int16)

    def encode(self, batch: EpisodeBatch, b: int) -> np.ndarray:
        """Episode `b` of a batch on the CPU.

        Returns:
            [n] uint8, a new array.
        """
        words = [field.as_words(batch, b) for field in self.fields]
        n_steps = batch.max_seq_length
        n_rows = max(_rows_before_repeats(w) for w, field in zip(words, self.fields) if not field.is_const)
        played = int(batch["filled"][b].sum())
        parts = [np.array([n_rows, n_steps, played, 0], np.int32).view(np.uint8)]
        for w, field in zip(words, self.fields):
            parts.extend(self._encode_words(w if field.is_const else w[:n_rows]))
        return np.concatenate(parts)

    def views(self, batch: EpisodeBatch) -> list[np.ndarray]:
        """The fields of a batch on the CPU as [B, T, numbers] arrays that `decode` writes into."""
        return [field.view(batch) for field in self.fields]

    def decode(self, code: np.ndarray, views: list[np.ndarray], b: int, n_steps: int) -> None:
        """Write the first `n_steps` steps of an episode into row `b` of a batch, given by `views`."""
        stored, length = code[:8].view(np.int32)
        n_steps_there = min(n_steps, int(length))
        position = _HEADER_BYTES
        for field, view in zip(self.fields, views):
            rows = 1 if field.is_const else int(stored)
            position, parts = _parts(code, position, rows, field.n_words)
            n_rows = min(rows, n_steps_there)
            field.write(parts, view[b], n_rows)
            if not field.is_const:
                view[b, n_rows:n_steps_there] = view[b, n_rows - 1]
                view[b, n_steps_there:n_steps] = 0

    def _encode_words(self, words: np.ndarray) -> list[np.ndarray]:
        n_rows, n_words = words.shape
        codes = self._codes[: n_rows * n_words].reshape(n_rows, n_words)
        counts = np.empty(n_words, np.uint8)
        column_code.look_up(words, codes, counts, self._table, self._slots)
        first, byte, shift, mask = _layout_arrays(n_words)
        width, n_table, n_raw = column_code.layout(counts, first, byte, shift, mask)
        table = np.empty(n_table, np.uint32)
        packed = np.zeros((n_rows, width), np.uint8)
        raw = np.empty((n_rows, n_raw), np.uint32)
        column_code.pack(words, codes, counts, self._table, first, byte, shift, table, packed, raw)
        return [
            _padded(counts),
            table.view(np.uint8),
            raw.reshape(-1).view(np.uint8),
            _padded(packed.reshape(-1)),
        ]


class _Field:
    """How the numbers of one field of the scheme become 32-bit words."""

    def __init__(self, name: str, info: Mapping[str, Any], groups: Mapping[str, int]):
        self.name = name
        self.is_const = bool(info.get("episode_const", False))
        self.n_bytes = th.empty((), dtype=info.get("dtype", th.float32)).element_size()
        self.n_numbers = int(np.prod(field_shape(name, info, groups), dtype=np.int64))
        self.n_words = self.n_numbers * max(1, self.n_bytes // _WORD)

    def as_words(self, batch: EpisodeBatch, b: int) -> np.ndarray:
        """[R, words] uint32 of episode `b`."""
        rows = np.ascontiguousarray(batch[self.name][b].numpy()).reshape(
            1 if self.is_const else -1, self.n_numbers
        )
        if self.n_bytes < _WORD:
            return rows.view(f"u{self.n_bytes}").astype(np.uint32)
        return rows.view(np.uint32)

    def view(self, batch: EpisodeBatch) -> np.ndarray:
        """[B, R, words] of the whole batch, sharing its memory."""
        numbers = batch[self.name].numpy()
        rows = numbers.reshape(batch.batch_size, 1 if self.is_const else -1, self.n_numbers)
        return rows.view(np.uint32 if self.n_bytes >= _WORD else f"u{self.n_bytes}")

    def write(self, parts: tuple[np.ndarray, ...], view: np.ndarray, n_rows: int) -> None:
        """Decode into the first `n_rows` rows of `view` [R, words]."""
        is_direct = self.n_bytes >= _WORD
        words = view if is_direct else np.empty((n_rows, self.n_words), np.uint32)
        counts, table, packed, raw, first, byte, shift, mask = parts
        column_code.unpack(counts, table, packed, raw, first, byte, shift, mask, n_rows, words)
        if not is_direct:
            view[:n_rows] = words


def call_every_kernel() -> None:
    """Code a tiny episode and decode it, so that every kernel has run with the types of real use."""
    scheme: dict[str, dict[str, Any]] = {"number": {"vshape": 2}, "byte": {"vshape": 2, "dtype": th.uint8}}
    batch = EpisodeBatch(scheme, {}, 1, 2)
    code = EpisodeCode(batch.scheme, {}, 2)
    code.decode(code.encode(batch, 0), code.views(batch), 0, 2)


def played_steps(code: np.ndarray) -> int:
    """How many steps of a coded episode count as played, its last state included."""
    return int(code[8:12].view(np.int32)[0])


def _parts(code: np.ndarray, position: int, n_rows: int, n_words: int) -> tuple[int, tuple[np.ndarray, ...]]:
    """(Where the next field begins, the arguments of `column_code.unpack`)."""
    counts = code[position : position + n_words]
    position += _round_up(n_words)
    where = _layout_arrays(n_words)
    width, n_table, n_raw = column_code.layout(counts, where[0], where[1], where[2], where[3])
    table = code[position : position + n_table * _WORD].view(np.uint32)
    position += n_table * _WORD
    raw = code[position : position + n_rows * n_raw * _WORD].view(np.uint32).reshape(n_rows, n_raw)
    position += n_rows * n_raw * _WORD
    packed = code[position : position + n_rows * width].reshape(n_rows, width)
    return position + _round_up(n_rows * width), (counts, table, packed, raw, *where)


def _layout_arrays(n_words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    first, byte, shift, mask = np.empty((4, n_words), np.int64)
    return first, byte, shift, mask


def _padded(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, np.zeros(_round_up(values.size) - values.size, np.uint8)])


def _round_up(n_bytes: int) -> int:
    return -(-n_bytes // _WORD) * _WORD


def _rows_before_repeats(words: np.ndarray) -> int:
    """Rows up to the first one that is repeated to the end, that one included."""
    differs = np.flatnonzero((words != words[-1]).any(axis=1))
    return int(differs[-1]) + 2 if differs.size else 1
