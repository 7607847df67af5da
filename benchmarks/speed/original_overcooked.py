"""The original of Overcooked, from a checkout of gym-macro-overcooked, as a peer to be timed.

OVERCOOKED_HOME names the checkout (tested at 24a9901). Its drawing needs pygame, which a timed episode never
calls: an empty module stands in its place, and Gymnasium in that of gym.
"""

import os
import sys
import types
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import gymnasium

HOME = "OVERCOOKED_HOME"
REWARDS = {"subtask finished": 10, "correct delivery": 200, "wrong delivery": -5, "step penalty": -0.1}


def missing() -> str:
    """Why the original cannot be imported here; "" if it can."""
    home = os.environ.get(HOME)
    if not home:
        return f"{HOME} names no checkout of gym-macro-overcooked to compare with"
    if not (Path(home) / "gym_macro_overcooked").is_dir():
        return f"{HOME}={home}: no folder gym_macro_overcooked lies there"
    return ""


def make_original(variant: str) -> Any:
    """Overcooked-MA-v1 in the paper's setting: 7x7, three agents, the salad of all three, a 5x5 view."""
    _stand_in()
    sys.path.insert(0, os.environ[HOME])
    try:
        module = import_module("gym_macro_overcooked.overcooked_MA_V1")
    finally:
        sys.path.remove(os.environ[HOME])
    dish = "lettuce-onion-tomato salad"
    return module.Overcooked_MA_V1([7, 7], dish, REWARDS, map_type=variant, n_agent=3, obs_radius=2)


def _stand_in() -> None:
    """Modules that the original imports. Writes: sys.modules."""
    registration: Any = types.ModuleType("gym.envs.registration")
    registration.register = lambda *args, **kwargs: None
    sys.modules.setdefault("gym", gymnasium)
    sys.modules.setdefault("gym.envs.registration", registration)
    sys.modules.setdefault("pygame", MagicMock(name="pygame"))
