"""Learning from joint events only: the steps at which at least one agent decides, and an episode's end.

Letters: B episodes, T transitions, N agents, R joint events of the batch, packed.

    y(t) = sum_{m < tau} gamma^m r(t + m) + gamma^tau (1 - terminated) Q_target(t + tau)

t + tau is the next joint event, or the end; a truncated episode is bootstrapped from its last observation. At
t + tau only agents that decide there maximise; who executes carries the target network's value of the action that
it is carrying out (the mixer's part). A step at which nobody decides is no event, not even if nobody is active.

Source: Marchesini, Xiao, Amato, asynchronous value factorization (OpenReview, 2023 and 2024), in our reading.
"""

from typing import Any

import torch
from torch import Tensor

from plugins.learners.sides import NOBODY, Rows, Sides, played_rows
from plugins.learners.targets import td_lambda_targets
from plugins.learners.value_learner import ValueLearner
from plugins.vsp.indices import read_status

__all__ = ["JointEventLearner", "event_rows"]


class JointEventLearner(ValueLearner):
    """ValueLearner on the transitions between joint events; in a synchronous task it is the same."""

    at_joint_events = True

    def _rows(self, batch: Any) -> Rows:
        deciding = read_status(batch["avail_actions"], batch["filled"]).deciding
        played, _ = played_rows(batch, self.where)
        rows = event_rows(played, deciding.any(dim=2, keepdim=True))
        if not bool(rows.mask.any()):
            raise ValueError(NOBODY.format(where=self.where, shape=tuple(batch["filled"].shape)))
        return rows

    def _returns(self, reward: Tensor, terminated: Tensor, q_next: Tensor, sides: Sides) -> Tensor:
        """A sum of rewards up to the next event is a lambda-return whose lambda is 1 between events.

        With td_lambda set it is a lambda-return over events: lambda counts them, gamma counts steps.
        """
        leads_to_event = torch.cat([sides.mask[:, 1:], torch.zeros_like(sides.mask[:, :1])], dim=1)
        td_lambda = torch.ones_like(reward).masked_fill(leads_to_event, self.keys.td_lambda or 0.0)
        unpacked = torch.zeros_like(reward).masked_scatter(sides.closing, q_next)
        played = sides.played.to(reward.dtype)
        returns = td_lambda_targets(reward, terminated, played, unpacked, self.keys.gamma, td_lambda)
        return returns[sides.mask]


def event_rows(played: Tensor, event: Tensor) -> Rows:
    """The transitions that begin with a joint event, and the last steps before the next one or the end.

    Args:
        played: [B, T, 1] bool; transitions.
        event: [B, T+1, 1] bool; at least one agent decides.

    Returns:
        Rows with as many target rows as live ones; what was played before an episode's first event is in none.
    """
    mask = played & event[:, :-1]
    begun = mask.long().cummax(dim=1).values > 0
    goes_on = torch.cat([played[:, 1:], torch.zeros_like(played[:, :1])], dim=1)
    return Rows(mask, played & begun & (event[:, 1:] | ~goes_on), played)
