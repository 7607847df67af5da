"""Targets and loss of value learning, as functions.

Letters: B episodes, T transitions, N agents, A actions.
"""

import math

import torch
from torch import Tensor

__all__ = ["greedy_actions", "one_step_targets", "squared_error", "step_mask", "take", "td_lambda_targets"]


def step_mask(filled: Tensor, terminated: Tensor) -> Tensor:
    """Transitions: steps that were played, whose next observation was stored, and that do not follow an end.

    The last observation is stored as a filled step without an outcome. EPyMARL leaves it out only where the
    episode terminated or is the longest; ours leaves it out always, so padding a truncated episode changes
    nothing.

    Args:
        filled: [B, T+1, 1] any number type.
        terminated: [B, T, 1]; 1 where the task ended in this step.

    Returns:
        [B, T, 1] bool.
    """
    mask = (filled[:, :-1] != 0) & (filled[:, 1:] != 0)
    after_end = (terminated[:, :-1] != 0).any(dim=2, keepdim=True)
    return torch.cat([mask[:, :1], mask[:, 1:] & ~after_end], dim=1)


def take(values: Tensor, actions: Tensor) -> Tensor:
    """values [..., A] at actions [..., 1] int64 -> [...]."""
    return values.gather(-1, actions).squeeze(-1)


def greedy_actions(q_all: Tensor, avail_actions: Tensor) -> Tensor:
    """The available action of largest utility, [..., A] -> [..., 1] int64; 0 where nothing is available."""
    return q_all.detach().masked_fill(avail_actions == 0, -math.inf).argmax(dim=-1, keepdim=True)


def one_step_targets(reward: Tensor, terminated: Tensor, q_next: Tensor, gamma: float) -> Tensor:
    """r + gamma (1 - terminated) q_next.

    Args:
        reward, terminated, q_next: the same shape; q_next is the target network's value of the next step. A
            truncated
            step has terminated 0, so its value is bootstrapped.
        gamma: discount of one step.

    Returns:
        that shape, without gradient.

    Source: Algorithm 1 of arXiv:2408.03692v2, which omits gamma there although its Table 4 has 0.99.
    """
    _check_same_shape(reward=reward, terminated=terminated, q_next=q_next)
    return (reward + gamma * (1.0 - terminated) * q_next).detach()


def td_lambda_targets(
    reward: Tensor, terminated: Tensor, mask: Tensor, q_next: Tensor, gamma: float, td_lambda: float | Tensor
) -> Tensor:
    """lambda-returns: G_t = r_t + gamma (1 - terminated_t) ((1 - lambda) q_{t+1} + lambda G_{t+1}).

    After an episode's last step G is q itself, also where the episode was truncated before the batch's end
    (the reference takes 0 there).

    Args:
        reward, terminated, mask, q_next: [B, T, 1]; q_next[:, t] is the target network's value of step t + 1.
        gamma: discount of one step.
        td_lambda: in [0, 1]; 0 gives one-step targets. Or one number for each step, [B, T, 1]; where it is 1
            no q_next is read but that of an episode's last step.

    Returns:
        [B, T, 1] without gradient; 0 where mask is 0.

    Source: hijkzzz/pymarl2 8ccac7c, with the difference above.
    """
    _check_same_shape(reward=reward, terminated=terminated, mask=mask, q_next=q_next)
    goes_on = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)  # the next step is played too
    discount = gamma * (1.0 - terminated) * mask
    now = mask * reward + discount * q_next * (1.0 - td_lambda * goes_on)
    carried = discount * td_lambda * goes_on
    target, targets = torch.zeros_like(q_next[:, 0]), []
    for now_t, carried_t in zip(reversed(now.unbind(1)), reversed(carried.unbind(1))):
        target = torch.addcmul(now_t, carried_t, target)
        targets.append(target)
    return torch.stack(targets[::-1], dim=1).detach()


def squared_error(q_tot: Tensor, target: Tensor) -> Tensor:
    """Mean of (q_tot - target)^2, without the factor 1/2 that some implementations have. Same shapes."""
    _check_same_shape(q_tot=q_tot, target=target)
    return (q_tot - target).square().mean()


def _check_same_shape(**tensors: Tensor) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"targets: shapes differ ({given}), expected equal ones. Nothing is broadcast here.")
