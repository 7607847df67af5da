"""Random inputs of mixers: drawn by the learner, from one generator that a checkpoint carries along."""

import torch
from torch import Tensor

from async_envs.core.seeding import episode_seed
from plugins.mixers.base import Mixer


class Draws:
    """A stream for what mixers draw, seeded by the run's seed; on the CPU, so that devices agree."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(int(episode_seed(seed, "mixer", 0)))

    def fields(self, mixer: Mixer, filled: Tensor, like: Tensor) -> dict[str, Tensor]:
        """This update's random inputs of one mixer.

        Args:
            mixer: says in `draw` what it wants.
            filled: [B, T, 1]; only played steps draw, so unplayed ones move no other number.
            like: gives floating-point draws their type, and all their device.

        Returns:
            field of Extras -> [B, T, N, ...]; 0 at unplayed steps.
        """
        played = filled.flatten(0, 1).squeeze(1).nonzero().squeeze(1)
        fields = {}
        for name, drawn in mixer.draw(len(played), self._generator).items():
            values = drawn.to(like.device, like.dtype if drawn.is_floating_point() else drawn.dtype)
            cells = values.new_zeros(filled.shape[0] * filled.shape[1], *values.shape[1:])
            fields[name] = cells.index_copy_(0, played, values).unflatten(0, filled.shape[:2])
        return fields

    def resume_state(self) -> Tensor:
        """For a checkpoint."""
        return self._generator.get_state()

    def load_resume_state(self, state: Tensor) -> None:
        """Go on from `resume_state`."""
        self._generator.set_state(state)
