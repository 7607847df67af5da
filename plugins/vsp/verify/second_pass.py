"""Utilities of proxies by explicit second forward passes, step by step; no gather along time.

Letters: B episodes, T1 stored steps, N agents, A actions, H hidden size.
"""

from typing import Any, Mapping

import torch
from torch import Tensor

from plugins.controllers.async_mac import NO_ACTION
from plugins.vsp.verify.subject import Masks

__all__ = ["at_the_decision", "with_own_recurrence"]


def at_the_decision(mac: Any, batch: Mapping[str, Tensor], masks: Masks) -> Tensor:
    """Each proxy runs the network again: on what its agent saw when it decided, from the hidden state before that.

    Args:
        mac: has `step(obs, last_actions, hidden) -> (q, hidden)`, as it acts.
        batch: obs [B, T1, N, O], actions [B, T1, N, 1].
        masks: who decides, who executes.

    Returns:
        [B, T1, N]; 0 where no agent executes.
    """
    actions = batch["actions"].squeeze(3)
    hidden = mac.hidden_states.new_zeros(*actions.shape[::2], mac.hidden_states.shape[2])
    none = torch.full_like(actions[:, 0], NO_ACTION)
    kept_obs, kept_last, kept_hidden, kept_action = batch["obs"][:, 0], none, hidden, actions[:, 0]
    utilities = []
    for t in range(actions.shape[1]):
        obs, last = batch["obs"][:, t], none if t == 0 else actions[:, t - 1]
        decides = masks.deciding[:, t]
        kept_obs = torch.where(decides.unsqueeze(2), obs, kept_obs)
        kept_last = torch.where(decides, last, kept_last)
        kept_hidden = torch.where(decides.unsqueeze(2), hidden, kept_hidden)
        kept_action = torch.where(decides, actions[:, t], kept_action)
        again, _ = mac.step(kept_obs, kept_last, kept_hidden)
        proxy = again.gather(2, kept_action.unsqueeze(2)).squeeze(2)
        utilities.append(torch.where(masks.executing[:, t], proxy, torch.zeros_like(proxy)))
        _, hidden = mac.step(obs, last, hidden)
    return torch.stack(utilities, 1)


def with_own_recurrence(mac: Any, shown: Mapping[str, Tensor], masks: Masks) -> Tensor:
    """Each proxy is a slot with a hidden state of its own, fed with what the simulator shows it.

    Args:
        mac: as above.
        shown: obs [B, T1, N, O] and actions [B, T1, N, 1] of the proxies that `VSP` shows.
        masks: who executes.

    Returns:
        [B, T1, N]; 0 where no agent executes.
    """
    actions = shown["actions"].squeeze(3)
    hidden = mac.hidden_states.new_zeros(*actions.shape[::2], mac.hidden_states.shape[2])
    last = torch.full_like(actions[:, 0], NO_ACTION)
    utilities = []
    for t in range(actions.shape[1]):
        q, hidden = mac.step(shown["obs"][:, t], last, hidden)
        last = actions[:, t]
        proxy = q.gather(2, last.unsqueeze(2)).squeeze(2)
        utilities.append(torch.where(masks.executing[:, t], proxy, torch.zeros_like(proxy)))
    return torch.stack(utilities, 1)
