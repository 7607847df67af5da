"""The random states of python, numpy and torch, as `torch.load(weights_only=True)` takes them."""

import random
from typing import Any, Mapping

import numpy as np
import torch as th


def seed_all(seed: int) -> None:
    """Seed python's, numpy's and torch's own random streams."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    th.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """Where the three streams (and those of the CUDA devices) stand."""
    legacy: Any = np.random.get_state(legacy=False)
    version, internal, gauss = random.getstate()
    return {
        "python": [version, list(internal), gauss],
        "numpy_key": th.from_numpy(legacy["state"]["key"].astype(np.int64)),
        "numpy": [legacy["state"]["pos"], legacy["has_gauss"], float(legacy["gauss"])],
        "torch": th.get_rng_state(),
        "cuda": th.cuda.get_rng_state_all() if th.cuda.is_available() else [],
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Go on from `random_states`."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    position, has_gauss, cached = states["numpy"]
    np.random.set_state(
        ("MT19937", states["numpy_key"].numpy().astype(np.uint32), position, has_gauss, cached)
    )
    th.set_rng_state(states["torch"])
    if states["cuda"] and th.cuda.is_available():
        th.cuda.set_rng_state_all(states["cuda"])
