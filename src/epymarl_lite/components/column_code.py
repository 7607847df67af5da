"""Lossless code of a table of 32-bit words: each column has few distinct words in one episode.

A column with k distinct words stores them once, in the order in which they appear, and for every row a
code of 0, 1, 2, 4 or 8 bits (k = 1, 2, up to 4, 16, 255). Other columns stay as they are (k = 0).
Words are compared, never numbers, so NaN, -0.0 and denormals come back bit for bit.

Letters: R rows, C columns, W bytes of codes in a row.
"""

import numpy as np
from numba import njit

Array = np.ndarray

MOST_DISTINCT = 255
N_SLOTS = 1024  # of the hash table, at most a quarter full
_EMPTY = -1


@njit(nogil=True)
def bits_of(k: int) -> int:
    """Bits of one code in a column of `k` distinct words; 0 where there are no codes."""
    if k <= 1:
        return 0
    if k == 2:
        return 1
    if k <= 4:
        return 2
    return 4 if k <= 16 else 8


@njit(nogil=True)
def layout(counts: Array, first: Array, byte: Array, shift: Array, mask: Array) -> tuple[int, int, int]:
    """Where each column's codes lie in a row: wide codes first, so that none crosses a byte.

    Args:
        counts: [C] uint8.
        first: [C] int64; written: where the column's words begin in the table.
        byte, shift, mask: [C] int64; written: code = (row[byte] >> shift) & mask.

    Returns:
        (W, words in the table, columns stored as they are).
    """
    n_words, n_raw = 0, 0
    for c in range(counts.shape[0]):
        first[c] = n_words if counts[c] > 0 else 0
        byte[c], shift[c] = 0, 0
        mask[c] = (1 << bits_of(counts[c])) - 1
        n_words += counts[c]
        if counts[c] == 0:
            n_raw += 1
    position = 0  # in bits
    for halvings in range(4):
        bits = 8 >> halvings
        for c in range(counts.shape[0]):
            if bits_of(counts[c]) == bits:
                byte[c], shift[c] = position >> 3, position & 7
                position += bits
    return (position + 7) >> 3, n_words, n_raw


@njit(nogil=True)
def look_up(words: Array, codes: Array, counts: Array, table: Array, slots: Array) -> None:
    """Code every column.

    Args:
        words: [R, C] uint32.
        codes: [R, C] uint8; written.
        counts: [C] uint8; written: distinct words of the column, 0 where it stays as it is.
        table: [C, 255] uint32; written: the distinct words.
        slots: [1024] int16; scratch.
    """
    n_rows, n_columns = words.shape
    for c in range(n_columns):
        for i in range(N_SLOTS):
            slots[i] = _EMPTY
        k = 0
        previous = words[0, c] + np.uint32(1)
        code = 0
        for r in range(n_rows):
            word = words[r, c]
            if word != previous:
                h = (word ^ (word >> np.uint32(16))) * np.uint32(2654435769)
                slot = np.int64((h >> np.uint32(20)) & np.uint32(N_SLOTS - 1))
                while slots[slot] != _EMPTY and table[c, slots[slot]] != word:
                    slot = (slot + 1) & (N_SLOTS - 1)
                if slots[slot] == _EMPTY:
                    if k == MOST_DISTINCT:
                        k = 0
                        break
                    slots[slot] = k
                    table[c, k] = word
                    k += 1
                code = slots[slot]
                previous = word
            codes[r, c] = code
        # a table that costs more than it saves is not kept
        counts[c] = 0 if 4 * k + (n_rows * bits_of(k)) // 8 > 4 * n_rows else k


@njit(nogil=True)
def pack(
    words: Array,
    codes: Array,
    counts: Array,
    table: Array,
    first: Array,
    byte: Array,
    shift: Array,
    table_out: Array,
    packed: Array,
    raw: Array,
) -> None:
    """Write the code. Writes: table_out [K], packed [R, W] (zeros before), raw [R, columns as they are]."""
    n_rows, n_columns = words.shape
    r_raw = 0
    for c in range(n_columns):
        k = counts[c]
        if k == 0:
            for r in range(n_rows):
                raw[r, r_raw] = words[r, c]
            r_raw += 1
            continue
        for j in range(k):
            table_out[first[c] + j] = table[c, j]
        if k > 1:
            for r in range(n_rows):
                packed[r, byte[c]] |= codes[r, c] << shift[c]


@njit(nogil=True)
def unpack(
    counts: Array,
    table: Array,
    packed: Array,
    raw: Array,
    first: Array,
    byte: Array,
    shift: Array,
    mask: Array,
    n_rows: int,
    out: Array,
) -> None:
    """Decode the first `n_rows` rows; the other arguments as `layout` and `pack` left them.

    Writes: out[:n_rows] of [R, C] uint32.
    """
    n_columns = counts.shape[0]
    if packed.shape[1] > 0:
        for r in range(n_rows):
            for c in range(n_columns):
                out[r, c] = table[first[c] + ((packed[r, byte[c]] >> shift[c]) & mask[c])]
    elif table.shape[0] > 0:
        for r in range(n_rows):
            for c in range(n_columns):
                out[r, c] = table[first[c]]
    r_raw = 0
    for c in range(n_columns):
        if counts[c] == 0:
            for r in range(n_rows):
                out[r, c] = raw[r, r_raw]
            r_raw += 1


# For whoever keeps machine code; all that the kernels need is in this file.
KERNELS = (bits_of, layout, look_up, pack, unpack)
