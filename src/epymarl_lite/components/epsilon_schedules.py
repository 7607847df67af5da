"""How much a policy explores after so many steps."""

import math


class DecayThenFlatSchedule:
    """From `start` to `finish` within `time_length` steps, then flat.

    Args:
        start, finish: value at step 0 and from step `time_length` on.
        time_length: steps, at least 1.
        decay: "linear", or "exp" for exp(-t / s) with s such that `finish` is met at `time_length`.

    Raises:
        ValueError: an unknown decay or a length below 1.
    """

    def __init__(self, start: float, finish: float, time_length: float, decay: str = "exp"):
        if decay not in ("linear", "exp"):
            raise ValueError(f"epsilon schedule: decay={decay!r} is not known. Use 'linear' or 'exp'.")
        if time_length < 1:
            raise ValueError(
                f"epsilon schedule: time_length={time_length!r} is not accepted. Use at least 1 step."
            )
        self.start, self.finish, self.time_length, self.decay = start, finish, time_length, decay
        self._slope = (start - finish) / time_length
        self._scale = -time_length / math.log(finish) if finish > 0 else 1.0

    def eval(self, t: float) -> float:
        """The value after `t` steps."""
        if self.decay == "linear":
            return max(self.finish, self.start - self._slope * t)
        return min(self.start, max(self.finish, math.exp(-t / self._scale)))
