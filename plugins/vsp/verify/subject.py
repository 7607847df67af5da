"""A learner prepared for looking at: copied, in double precision, and asked for what its mixers are handed.

Letters: B episodes, T1 stored steps, N agents, R transitions of the batch that are learned from.
"""

import copy
from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np
import torch
from torch import Tensor

from plugins.vsp.verify.recording import Recording, as_batch

__all__ = ["Masks", "Quiet", "double_copy", "masks_of", "with_targets_apart"]

APART = 0.05  # standard deviation of what is added to a target network that equals the live one


class Quiet:
    """A logger that keeps nothing."""

    def log_stat(self, name: str, value: Any, t_env: int) -> None:
        """Forget it."""


@dataclass(frozen=True)
class Masks:
    """What the stored availability says, read without the learner; [B, T1, N] bool, the last two [B, T1]."""

    deciding: Tensor
    executing: Tensor
    transitions: Tensor  # a step that is learned from: it was played, and what came of it was stored
    after: Tensor  # the steps that those are bootstrapped from


def masks_of(recording: Recording, n_agents: int, device: torch.device, at_joint_events: bool) -> Masks:
    """The masks of a recording; with `at_joint_events` only steps at which somebody decides are learned from."""
    status = recording.status(n_agents)
    transitions = recording.filled.copy()
    transitions[:, :-1] &= recording.filled[:, 1:]
    transitions[:, -1] = False
    after = np.zeros_like(transitions)
    after[:, 1:] = transitions[:, :-1]
    if at_joint_events:
        transitions, after = _between_events(transitions, np.asarray(status.deciding.any(axis=2)))
    masks = (status.deciding, status.executing, transitions, after)
    return Masks(*[torch.from_numpy(mask).to(device) for mask in masks])


def _between_events(played: np.ndarray, decided: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joint events among the steps played, and the events or ends that follow one; all [B, T1] bool."""
    events, after = np.zeros_like(played), np.zeros_like(played)
    for b in range(len(played)):
        n_steps = int(played[b].sum())
        begun = [t for t in range(n_steps) if decided[b, t]]
        events[b, begun] = True
        after[b, [*begun, n_steps][1:] if begun else []] = True
    return events, after


def with_targets_apart(learner: Any, seed: int) -> Any:
    """A copy of `learner` whose target networks differ from its live ones, or mixing them up would not show.

    Target networks that differ already stay as they are.
    """
    copied = copy.deepcopy(learner)
    sides = (
        (copied.mac.agent, copied.target_mac.agent),
        (copied.mixer, copied.target_mixer),
    )
    for live, target in sides:
        names = dict(live.named_parameters())
        if all(torch.equal(names[name], other) for name, other in target.named_parameters()):
            add_noise(target, seed)
    return copied


def add_noise(module: torch.nn.Module, seed: int) -> None:
    """Move every parameter by a little. The noise is drawn on the CPU, so it is the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_((APART * noise).to(parameter))


def double_copy(learner: Any) -> Any:
    """A copy of `learner` in float64, its buffers included."""
    copied = copy.deepcopy(learner)
    for module in (copied.mac.agent, copied.target_mac.agent, copied.mixer, copied.target_mixer):
        module.double()
    for mac in (copied.mac, copied.target_mac):
        mac.init_hidden(1)  # in the parameters' type
    return copied


def batch_for(learner: Any, recording: Recording) -> Mapping[str, Tensor]:
    """The recording as a batch of the learner's type, where the learner is."""
    hidden = learner.mac.hidden_states
    return as_batch(recording, hidden.dtype, hidden.device)
