"""Algorithms that learn from each episode once: what that asks of the buffer."""

from typing import Any, Mapping

__all__ = ["check_fresh_episodes"]


def check_fresh_episodes(config: Mapping[str, Any], where: str) -> None:
    """Refuse sizes under which a batch would hold episodes that were learned from before.

    Raises:
        ValueError: batch_size differs from buffer_size, or is no multiple of batch_size_run; one line.
    """
    batch, buffer, rollout = (config[name] for name in ("batch_size", "buffer_size", "batch_size_run"))
    if batch != buffer:
        raise ValueError(
            f"{where}: batch_size={batch} and buffer_size={buffer} differ, but it learns from each episode "
            f"once, expected equal ones. Set buffer_size={batch}."
        )
    if batch % rollout:
        raise ValueError(
            f"{where}: batch_size={batch} is no multiple of batch_size_run={rollout}, so episodes would be "
            f"learned from twice, expected whole rollouts. Set batch_size and buffer_size to "
            f"{rollout * max(1, batch // rollout)}."
        )
