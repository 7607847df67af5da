"""Fields that an episode batch derives from other fields."""

from typing import Protocol

import torch as th


class Transform(Protocol):
    """Turns a stored field into a derived one."""

    def transform(self, tensor: th.Tensor) -> th.Tensor:
        """The derived field of `tensor`."""

    def infer_output_info(
        self, vshape_in: tuple[int, ...], dtype_in: th.dtype
    ) -> tuple[tuple[int, ...], th.dtype]:
        """Shape of one entry and dtype of what `transform` returns."""


class OneHot:
    """Index -> row of zeros with a single 1."""

    def __init__(self, out_dim: int):
        self.out_dim = out_dim

    def transform(self, tensor: th.Tensor) -> th.Tensor:
        """One-hot rows.

        Args:
            tensor: [..., 1] whole numbers in [0, out_dim).

        Returns:
            [..., out_dim] float32.
        """
        rows = th.zeros((*tensor.shape[:-1], self.out_dim), dtype=th.float32, device=tensor.device)
        return rows.scatter_(-1, tensor.long(), 1.0)

    def infer_output_info(
        self, vshape_in: tuple[int, ...], dtype_in: th.dtype
    ) -> tuple[tuple[int, ...], th.dtype]:
        """One entry is (out_dim,) float32 whatever came in."""
        return (self.out_dim,), th.float32
