"""How much memory a replay buffer needs and how much there is."""

from pathlib import Path
from typing import Any, Mapping

import numpy as np
import psutil
import torch as th

from epymarl_lite.components.episode_batch import field_shape

_CGROUP_FILES = (  # (limit, in use): control groups version 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_SHARE = 0.9  # of the free memory that a buffer may take

TOO_BIG = (
    "replay buffer: {size} episodes need about {need:.1f} GiB more memory, {free:.1f} GiB are free. "
    "Set buffer_size={fits} or less{other}."
)


def available_bytes() -> int:
    """Memory this process may still take: what the machine has free, or its control group if that is less."""
    free = int(psutil.virtual_memory().available)
    for limit_file, used_file in _CGROUP_FILES:
        try:
            limit, used = Path(limit_file).read_text().strip(), Path(used_file).read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            free = min(free, max(0, int(limit) - int(used)))
    return free


def check_fits(n_bytes: int, buffer_size: int, hint: str = "") -> None:
    """Refuse a buffer of `buffer_size` episodes that will need `n_bytes` more than memory has.

    Raises:
        ValueError: it does not fit; one line with a buffer_size that does.
    """
    free = available_bytes()
    if n_bytes <= _SHARE * free:
        return
    fits = max(1, int(buffer_size * _SHARE * free / n_bytes))
    raise ValueError(
        TOO_BIG.format(size=buffer_size, need=n_bytes / 2**30, free=free / 2**30, fits=fits, other=hint)
    )


def plain_bytes_per_step(scheme: Mapping[str, Mapping[str, Any]], groups: Mapping[str, int]) -> int:
    """Bytes of one step of one episode in an `EpisodeBatch`."""
    return sum(_numbers(name, info, groups) * _dtype(info).itemsize for name, info in scheme.items())


def compact_bytes_per_step(scheme: Mapping[str, Mapping[str, Any]], groups: Mapping[str, int]) -> int:
    """Bytes of one step in the compact buffer if a float takes a byte and a whole number half a byte."""
    bits = sum(
        _numbers(name, info, groups) * (8 if _dtype(info).is_floating_point else 4)
        for name, info in scheme.items()
    )
    return bits // 8 + 1


def _dtype(info: Mapping[str, Any]) -> th.dtype:
    return info.get("dtype", th.float32)


def _numbers(name: str, info: Mapping[str, Any], groups: Mapping[str, int]) -> int:
    return int(np.prod(field_shape(name, info, groups), dtype=np.int64))
