"""The optimisers of a learner: one for agents and mixer together, or one for each."""

from typing import Any, Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam, Optimizer, RMSprop

from plugins.config.keys import OptimiserKeys, RmspropKeys
from plugins.config.reading import read_keys
from plugins.learners.checks import require_finite
from plugins.learners.files import check_optimiser

AGENT, MIXER = "optimiser", "mixer_optimiser"  # names in resume_state
FILES = {AGENT: "opt.th", MIXER: "mixer_opt.th"}  # names beside the models


class Optimisers:
    """With `mixer_optimiser` null one moves agents and mixer, whose gradient is clipped as one; otherwise
    each has its own, and its own clip.

    Attributes:
        params: all parameters, the agents' first.
        by_name: the optimisers; AGENT, and MIXER if it has its own.
    """

    def __init__(
        self, agent: Iterable[Parameter], mixer: Iterable[Parameter], config: Mapping[str, Any], where: str
    ) -> None:
        """
        Raises:
            ValueError: a key is missing, not accepted, or there is nothing for it to move; one line.
        """
        keys = read_keys(OptimiserKeys, config, where)
        of_agent, of_mixer = list(agent), list(mixer)
        self.params = of_agent + of_mixer
        self.where = where
        self._clip = keys.grad_norm_clip
        if keys.mixer_optimiser is None:
            self.by_name = {AGENT: build_optimiser(keys.optimiser, self.params, keys.lr, config, where)}
            return
        if not of_mixer or keys.mixer_lr is None:
            problem = "a mixer without parameters" if not of_mixer else "mixer_lr=None"
            raise ValueError(
                f"{where}: mixer_optimiser={keys.mixer_optimiser!r} does not go with {problem}, expected "
                "parameters to move at a rate above 0. Set mixer_optimiser=None, or mixer_lr too."
            )
        self.by_name = {
            AGENT: build_optimiser(keys.optimiser, of_agent, keys.lr, config, where),
            MIXER: build_optimiser(keys.mixer_optimiser, of_mixer, keys.mixer_lr, config, where),
        }

    def step(self, loss: Tensor) -> dict[str, float]:
        """One step down the gradient of `loss`; the norms before clipping, by their name in the log.

        Raises:
            NonFiniteError: a gradient holds a NaN or an infinity; nothing has moved.
        """
        for optimiser in self.by_name.values():
            optimiser.zero_grad()
        loss.backward()
        norms = {
            "grad_norm" if name == AGENT else "grad_norm_mixer": _clip(optimiser, self._clip)
            for name, optimiser in self.by_name.items()
        }
        require_finite(
            self.where, "Training has diverged; lower lr.",
            **{name.replace("grad", "gradient"): norm for name, norm in norms.items()},
        )  # fmt: skip
        for optimiser in self.by_name.values():
            optimiser.step()
        return {name: float(norm) for name, norm in norms.items()}

    def state_dicts(self) -> dict[str, Any]:
        """Each optimiser's memory."""
        return {name: optimiser.state_dict() for name, optimiser in self.by_name.items()}

    def check(self, name: str, path: str, state: Mapping[str, Any]) -> None:
        """Refuse what is not a memory of the optimiser `name`.

        Raises:
            ValueError: naming `path`; one line.
        """
        check_optimiser(path, state, self.by_name[name])

    def load(self, states: Mapping[str, Any]) -> None:
        """Go on from `state_dicts`, checked before."""
        for name, optimiser in self.by_name.items():
            optimiser.load_state_dict(states[name])


def _clip(optimiser: Optimizer, most: float) -> Tensor:
    params = [param for group in optimiser.param_groups for param in group["params"]]
    return torch.nn.utils.clip_grad_norm_(params, most)


def build_optimiser(
    kind: str, params: list[Parameter], lr: float, config: Mapping[str, Any], where: str
) -> Optimizer:
    """Adam, or RMSprop with EPyMARL's keys.

    Raises:
        ValueError: a key of RMSprop is missing or not accepted; one line.
    """
    if kind == "adam":
        return Adam(params, lr=lr)
    keys = read_keys(RmspropKeys, config, where)
    return RMSprop(params, lr=lr, alpha=keys.optim_alpha, eps=keys.optim_eps)
