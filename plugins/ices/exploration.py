"""Learning the exploration policy of ICES: policy gradient on the intrinsic reward, and a value net as its baseline.

    loss = -sum over pairs of [(r - V) log nu(a) + c H(nu)] / pairs,    value loss = mean over pairs of (V - r)^2

No bootstrapping and no discount: each decision is paid by its own intrinsic reward.

Letters: B episodes, T transitions, N agents, A actions; M pairs of a step and an agent that count.

Source: LXXXXR/ICES 2fcc473, which counts all agents at all steps and normalises nu over all actions; there an
agent that can only carry on would be taught about `continue`.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam

from plugins.agents.rnn import RnnAgent
from plugins.config.keys import IcesKeys
from plugins.controllers.ices_mac import IcesMAC
from plugins.ices.world import WorldModel
from plugins.learners.checks import require_finite
from plugins.learners.sides import NOBODY, played_rows
from plugins.learners.targets import take
from plugins.vsp.indices import read_status

DECISIONS, NONE = "decisions", "none"  # values of ices_mask

__all__ = ["ExplorationTraining", "Losses", "counted_pairs", "log_policy", "policy_loss", "value_loss"]


class Losses(NamedTuple):
    """One update's quantities over the M pairs."""

    policy: Tensor  # scalar
    value: Tensor  # scalar
    reward: Tensor  # [M], without gradient
    entropy: Tensor  # [M]


def counted_pairs(batch: Any, mask: str, where: str) -> Tensor:
    """[B, T, N] bool: where a policy's choice is rewarded: deciding agents (`decisions`) or all (`none`).

    Raises:
        ValueError: no step was played, or nobody decided; one line.
    """
    played, _ = played_rows(batch, where)
    if mask == NONE:
        return played.expand(*played.shape[:2], batch["actions"].shape[2])
    pairs = read_status(batch["avail_actions"], batch["filled"]).deciding[:, :-1] & played
    if not bool(pairs.any()):
        raise ValueError(NOBODY.format(where=where, shape=tuple(batch["filled"].shape)))
    return pairs


def log_policy(logits: Tensor, avail: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logarithms of the probabilities [M, A], 0 where not available, and the entropy [M].

    Args:
        logits: [M, A].
        avail: [M, A] any number type, non-zero where the action may be chosen; None: all may be.
    """
    if avail is None:
        log_nu = logits.log_softmax(-1)
        return log_nu, -(log_nu.exp() * log_nu).sum(-1)
    closed = avail == 0
    log_nu = logits.masked_fill(closed, -torch.inf).log_softmax(-1).masked_fill(closed, 0.0)
    return log_nu, -(log_nu.exp() * log_nu).masked_fill(closed, 0.0).sum(-1)


def policy_loss(log_taken: Tensor, entropy: Tensor, reward: Tensor, value: Tensor, weight: float) -> Tensor:
    """-mean of [(reward - value) log_taken + weight entropy]; all [M], no gradient through reward and value."""
    return -((reward - value).detach() * log_taken + weight * entropy).mean()


def value_loss(value: Tensor, reward: Tensor) -> Tensor:
    """Mean of (value - reward)^2; both [M]."""
    return (value - reward).square().mean()


class ExplorationTraining:
    """Moves the controller's exploration policy and a value net like it, each with an Adam of its own.

    Attributes:
        value: network of the value, with one output.
        optimisers: name -> Adam.
    """

    def __init__(self, mac: IcesMAC, world: WorldModel, keys: IcesKeys, where: str) -> None:
        self.mac, self.world, self.keys, self.where = mac, world, keys, where
        self.value = RnnAgent(
            input_dim=mac.explorer_input_dim,
            hidden_dim=mac.explorer.hidden_dim,
            n_actions=1,
            use_rnn=mac.explorer.use_rnn,
            n_agents=mac.n_agents,
        )
        self.optimisers = {
            "policy": Adam(mac.explorer.parameters(), lr=keys.ices_policy_lr),
            "value": Adam(self.value.parameters(), lr=keys.ices_value_lr),
        }

    def step(self, batch: Any) -> dict[str, float]:
        """One update of policy and value; numbers by their name in the log.

        Raises:
            NonFiniteError: a loss is NaN or infinite; nothing has moved.
        """
        losses = self.compute(batch)
        require_finite(
            self.where, "Training has diverged; lower ices_policy_lr or ices_value_lr.",
            policy_loss=losses.policy, value_loss=losses.value,
        )  # fmt: skip
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        (losses.policy + losses.value).backward()  # their parameters are apart
        for optimiser in self.optimisers.values():
            (group,) = optimiser.param_groups
            torch.nn.utils.clip_grad_norm_(group["params"], self.keys.ices_grad_norm_clip)
            optimiser.step()
        return {
            "explorer_loss": float(losses.policy.detach()),
            "explorer_value_loss": float(losses.value.detach()),
            "explorer_entropy": float(losses.entropy.detach().mean()),
            "intrinsic_reward_mean": float(losses.reward.mean()),
            "intrinsic_reward_std": float(losses.reward.std(correction=0)),
        }

    def compute(self, batch: Any) -> Losses:
        """Both losses of a batch: obs, state, avail_actions, actions, filled, terminated [B, T+1, ...]."""
        pairs = counted_pairs(batch, self.keys.ices_mask, self.where)
        b, t, agents = pairs.nonzero(as_tuple=True)
        n_steps = batch["actions"].shape[1]
        inputs, packing = self.mac.explorer_inputs(batch)
        cells = b * n_steps + t  # of the [B * (T + 1)] stored ones
        logits = self._at(self.mac.explorer.unroll(inputs, packing, False)[0], cells, agents)
        value = self._at(self.value.unroll(inputs, packing, False)[0], cells, agents).squeeze(1)
        avail = batch["avail_actions"][b, t, agents] if self.keys.ices_mask_unavailable else None
        log_nu, entropy = log_policy(logits, avail)
        reward = self._reward(batch, cells, agents)
        log_taken = take(log_nu, batch["actions"][b, t, agents])
        loss = policy_loss(log_taken, entropy, reward, value, self.keys.ices_entropy)
        return Losses(loss, value_loss(value, reward), reward, entropy)

    def _at(self, outputs: Tensor, cells: Tensor, agents: Tensor) -> Tensor:
        """[cells, N * F] -> [M, F]."""
        return outputs.view(len(outputs), self.mac.n_agents, -1)[cells, agents]

    def _reward(self, batch: Any, cells: Tensor, agents: Tensor) -> Tensor:
        """The intrinsic reward of the M pairs; the priors see each step once."""
        steps, rows = cells.unique(return_inverse=True)
        dtype = next(self.world.parameters()).dtype
        state = batch["state"].flatten(0, 1).index_select(0, steps).to(dtype)
        actions = batch["actions"].flatten(0, 1).index_select(0, steps).squeeze(-1)
        return self.world.intrinsic_reward(state, actions, rows, agents)
