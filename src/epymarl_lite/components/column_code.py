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
    """Bits of one code in a column of `k` distinct words; -1 where the column is stored as it is."""
    if k == 0:
        return -1
    if k == 1:
        return 0
    if k == 2:
        return 1
    if k <= 4:
        return 2
    return 4 if k <= 16 else 8


@njit(nogil=True)
def layout(counts: Array, first: Array, byte: Array, shift: Array) -> tuple[int, int]:
    """Where each column's codes lie in a row: wide codes first, so that none crosses a byte.

    Writes: first [C] (start of its words in the table), byte [C], shift [C]. Returns (W, table size).
    """
    n_words = 0
    for c in range(counts.shape[0]):
        first[c] = n_words
        n_words += counts[c]
    position = 0  # in bits
    for bits in (8, 4, 2, 1):
        for c in range(counts.shape[0]):
            if bits_of(counts[c]) == bits:
                byte[c] = position >> 3
                shift[c] = position & 7
                position += bits
    return (position + 7) >> 3, n_words


@njit(nogil=True)
def sizes(counts: Array) -> tuple[int, int, int]:
    """(Words in the table, columns stored as they are, bytes of codes in a row)."""
    n_table, n_raw, n_bits = 0, 0, 0
    for c in range(counts.shape[0]):
        n_table += counts[c]
        if counts[c] == 0:
            n_raw += 1
        else:
            n_bits += bits_of(counts[c])
    return n_table, n_raw, (n_bits + 7) >> 3


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
        slots[:] = _EMPTY
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
        bits = bits_of(k)
        counts[c] = 0 if 4 * k + (n_rows * bits) // 8 > 4 * n_rows else k


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
    """Write the parts of the code. Writes: table_out [K], packed [R, W], raw [R, columns with k = 0]."""
    n_rows, n_columns = words.shape
    packed[:] = 0
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
def unpack(counts: Array, table: Array, packed: Array, raw: Array, n_rows: int, out: Array) -> None:
    """Decode the first `n_rows` rows. Writes: out[:n_rows] of [R, C] uint32."""
    n_columns = counts.shape[0]
    first = np.empty(n_columns, np.int64)
    byte = np.zeros(n_columns, np.int64)
    shift = np.zeros(n_columns, np.uint8)
    layout(counts, first, byte, shift)
    coded = np.empty(n_columns, np.int64)
    mask = np.zeros(n_columns, np.uint8)
    n_coded, r_raw = 0, 0
    for c in range(n_columns):  # columns that never change, and those stored as they are
        k = counts[c]
        if k == 0:
            for r in range(n_rows):
                out[r, c] = raw[r, r_raw]
            r_raw += 1
        elif k == 1:
            for r in range(n_rows):
                out[r, c] = table[first[c]]
        else:
            coded[n_coded] = c
            mask[n_coded] = (1 << bits_of(k)) - 1
            n_coded += 1
    for r in range(n_rows):
        for j in range(n_coded):
            c = coded[j]
            out[r, c] = table[first[c] + ((packed[r, byte[c]] >> shift[c]) & mask[j])]
