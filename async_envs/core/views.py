"""Views over a simulator of batch size 1, for the programs of two ecosystems.

All three take `(simulator, invalid_actions="raise", render_mode=None)`.
"""

from async_envs.core.gymnasium_view import GymnasiumView
from async_envs.core.pettingzoo_views import AECView, ParallelView

__all__ = ["AECView", "GymnasiumView", "ParallelView"]
