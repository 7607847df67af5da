"""Which rows of a batch an unroll computes, and in which order.

A *cell* is one step of one episode; its N agents are N neighbouring *rows*. Cells are packed time-major,
the longest episode first, so that the rows that still run at a step are the first ones of the step before.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

ROWS_PER_CHUNK = 1024  # measured: 512 to 2048 rows keep a chunk's buffers in the second-level cache


class Chunk(NamedTuple):
    """A few successive steps, computed together where that is possible."""

    first_row: int  # of the packing
    last_row: int  # exclusive
    step_rows: list[int]  # rows of each step, never growing
    is_even: bool  # all steps, and the one before, have as many rows

    @property
    def n_rows(self) -> int:
        """Rows of all its steps together."""
        return self.last_row - self.first_row


@dataclass(frozen=True)
class Packing:
    """The packed order of a batch.

    Attributes:
        cells: [C] int64, index into the batch's [B * T1] cells.
        previous_rows: [C * N] int64; packed row of the same agent one step before, plus `start_rows`, so
            that 0 … start_rows-1 mean "before the first step".
        start_rows: rows of the first step.
        n_agents: N.
        chunks: the time line in pieces of about ROWS_PER_CHUNK rows.
    """

    cells: torch.Tensor
    previous_rows: torch.Tensor
    start_rows: int
    n_agents: int
    chunks: list[Chunk]

    @property
    def n_rows(self) -> int:
        """Rows of all steps together."""
        return int(self.previous_rows.shape[0])

    def chunk_cells(self, chunk: Chunk) -> torch.Tensor:
        """[cells of the chunk] int64, index into the batch's [B * T1] cells."""
        return self.cells[chunk.first_row // self.n_agents : chunk.last_row // self.n_agents]


def pack(lengths: torch.Tensor, n_steps: int, n_agents: int) -> Packing:
    """The packed order of episodes of `lengths` [B] int64 stored steps, each at most `n_steps`."""
    device = lengths.device
    ordered, order = torch.sort(lengths.cpu(), descending=True, stable=True)
    running = torch.arange(n_steps).unsqueeze(1) < ordered.unsqueeze(0)  # [T1, B]
    cells = (order.unsqueeze(0) * n_steps + torch.arange(n_steps).unsqueeze(1))[running]
    step_rows = running.sum(1) * n_agents
    step_rows = step_rows[step_rows > 0]
    start_rows = int(step_rows[0]) if len(step_rows) else 0
    # One step before, a row stood as many places earlier as that step had rows.
    shift = torch.cat([torch.tensor([start_rows]), step_rows[:-1]]) if len(step_rows) else step_rows
    rows = torch.arange(int(step_rows.sum()))
    previous_rows = start_rows + rows - torch.repeat_interleave(shift, step_rows)
    return Packing(
        cells=cells.to(device),
        previous_rows=previous_rows.to(device),
        start_rows=start_rows,
        n_agents=n_agents,
        chunks=_chunks(step_rows.tolist(), start_rows),
    )


def _chunks(step_rows: list[int], start_rows: int) -> list[Chunk]:
    chunks, first_row, before, t = [], 0, start_rows, 0
    while t < len(step_rows):
        n_steps = max(1, ROWS_PER_CHUNK // step_rows[t])
        sizes = step_rows[t : t + n_steps]
        last_row = first_row + sum(sizes)
        chunks.append(Chunk(first_row, last_row, sizes, before == sizes[0] == sizes[-1]))
        first_row, before, t = last_row, sizes[-1], t + len(sizes)
    return chunks
