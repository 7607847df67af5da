"""Actions that last: what each agent's own decisions earned, kept on the full timeline.

For agent i deciding at step t, next at step v (or the end): R = sum of gamma^m r(t + m), D = v - t.

    R(t) = r(t) + gamma (stops(t + 1) ? 0 : R(t + 1)),      D(t) = 1 + (stops(t + 1) ? 0 : D(t + 1))

An episode that terminated closes every open action with what it earned and no value after it; one that was
cut by the step limit closes it with the value of its last observation, where every agent looks once more
(its network is stepped on what it sees there), the dead included, whose last action earned until then. `drop`
leaves out actions still running at the end, as the reference of MAC-IAICC does: those of agents that the last
observation shows executing (a task that shows everybody inactive at its end has none).

Letters: B episodes, T transitions, N agents.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from plugins.learners.targets import step_mask
from plugins.vsp.indices import Status, gather_steps

__all__ = ["Timeline", "gae", "n_step_returns", "read_timeline"]


class Timeline(NamedTuple):
    """Every agent's decisions and what followed."""

    learns: Tensor  # [B, T, N] bool; a decision that is learned from
    looks: Tensor  # [B, T+1, N] bool; the agent's networks are stepped: its decisions and a cut episode's end
    reward: Tensor  # [B, T, N]; discounted to t, until the next look or the end
    duration: Tensor  # [B, T, N] int64, steps until then; at least 1 at decisions
    next_t: Tensor  # [B, T, N] int64, the next look; 0 where there is none
    goes_on: Tensor  # [B, T, N] bool; there is a next look, whose value counts


def read_timeline(
    status: Status, filled: Tensor, terminated: Tensor, reward: Tensor, gamma: float, *,
    padded: bool, drop_open: bool,
) -> Timeline:  # fmt: skip
    """The timeline of a batch of whole episodes.

    Args:
        status: what the agents do, [B, T+1, N] each.
        filled: [B, T+1, 1]; 1 where the step was played.
        terminated: [B, T, 1]; 1 where the task ended in this step.
        reward: [B, T, 1] or [B, T, N].
        gamma: discount of one environment step.
        padded: every agent decides at every step (and forced actions are decisions of one step).
        drop_open: actions that still run at the last observation are not learned from.
    """
    played = step_mask(filled, terminated)  # [B, T, 1]
    none = torch.zeros_like(played[:, :1])
    before, now = torch.cat([none, played], 1), torch.cat([played, none], 1)  # of step t - 1, of step t
    ends = before & ~now  # [B, T+1, 1], True at the last observation
    was_cut = ends & (torch.cat([none, terminated[..., :1] == 0], 1))
    decides = (torch.ones_like(status.deciding) if padded else status.deciding) & now
    looks = decides | was_cut
    steps = torch.arange(looks.shape[1], device=looks.device).view(1, -1, 1)
    next_look = _next_true(looks, steps)
    goes_on = (next_look < looks.shape[1])[:, :-1]
    end_t = torch.where(ends, steps, 0).amax(1, keepdim=True)
    duration = torch.where(goes_on, next_look[:, :-1], end_t) - steps[:, :-1]
    learns = decides[:, :-1]
    if drop_open:
        runs_at_end = (status.executing & ends).any(1, keepdim=True)
        is_last = (_next_true(decides, steps) >= looks.shape[1])[:, :-1]
        learns = learns & ~(runs_at_end & is_last)
    return Timeline(
        learns, looks, _accumulate(reward, looks, now, gamma), duration,
        torch.where(goes_on, next_look[:, :-1], 0), goes_on,
    )  # fmt: skip


def gae(timeline: Timeline, values: Tensor, gamma: float, gae_lambda: float) -> Tensor:
    """Advantages over own decisions: gamma counts steps, lambda counts decisions.

        delta_k = R_k + gamma^D_k V_{k+1} - V_k,      A_k = delta_k + gamma^D_k lambda A_{k+1}

    Args:
        timeline: of the batch.
        values: [B, T+1, N]; read where the agents look.
        gamma: discount of one environment step.
        gae_lambda: in [0, 1].

    Returns:
        [B, T, N]; 0 where nothing is learned.
    """
    discount, after = _discount(timeline, values, gamma), _after(timeline, values)
    delta = timeline.reward + discount * after - values[:, :-1]
    advantage, advantages = torch.zeros_like(delta[:, 0]), []
    for t in range(delta.shape[1] - 1, -1, -1):
        own = delta[:, t] + discount[:, t] * gae_lambda * advantage
        advantage = torch.where(timeline.learns[:, t], own, advantage)
        advantages.append(advantage)
    return torch.stack(advantages[::-1], 1) * timeline.learns


def n_step_returns(timeline: Timeline, values: Tensor, gamma: float, n_steps: int) -> Tensor:
    """Returns over `n_steps` own decisions, then the value where the last of them ended.

        G_k = sum_{j=k}^{e-1} gamma^{t_j - t_k} R_j + gamma^{t_e - t_k} V(t_e),   e = min(k + n, end)

    The last term is missing if the episode terminated first.

    Args:
        timeline: of the batch.
        values: [B, T+1, N]; read where the agents look.
        gamma: discount of one environment step.
        n_steps: at least 1.

    Returns:
        [B, T, N]; 0 where nothing is learned.

    Source: yuchen-x/MacroMARL f5899cd.
    """
    discount, returns = _discount(timeline, values, gamma), values
    for _ in range(n_steps):
        longer = timeline.reward + discount * _after(timeline, returns)
        returns = torch.cat([torch.where(timeline.learns, longer, values[:, :-1]), values[:, -1:]], 1)
    return returns[:, :-1] * timeline.learns


def _discount(timeline: Timeline, like: Tensor, gamma: float) -> Tensor:
    """gamma to the duration, [B, T, N]; 0 before the end of an episode that terminated."""
    return torch.pow(gamma, timeline.duration.clamp(min=0).to(like.dtype)) * timeline.goes_on


def _after(timeline: Timeline, values: Tensor) -> Tensor:
    """values [B, T+1, N] at each step's next look, [B, T, N]."""
    padded = torch.cat([timeline.next_t, torch.zeros_like(timeline.next_t[:, :1])], 1)
    return gather_steps(values, padded)[:, :-1]


def _next_true(mask: Tensor, steps: Tensor) -> Tensor:
    """[B, T1, N] int64: the first step behind each step where `mask` is True, T1 where there is none."""
    n_steps = mask.shape[1]
    at = torch.where(mask, steps, n_steps)
    behind = torch.cat([at[:, 1:], torch.full_like(at[:, :1], n_steps)], 1)
    return behind.flip(1).cummin(1).values.flip(1)


def _accumulate(reward: Tensor, looks: Tensor, played: Tensor, gamma: float) -> Tensor:
    """R(t) = r(t) + gamma (stops(t + 1) ? 0 : R(t + 1)), [B, T, N]; 0 after the end."""
    goes_through = (played & ~looks).to(reward.dtype) * gamma  # [B, T+1, N]
    earned = (reward * played[:, :-1]).expand(-1, -1, looks.shape[2])
    total, totals = torch.zeros_like(earned[:, 0]), []
    for t in range(reward.shape[1] - 1, -1, -1):
        total = torch.addcmul(earned[:, t], goes_through[:, t + 1], total)
        totals.append(total)
    return torch.stack(totals[::-1], 1)
