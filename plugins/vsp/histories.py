"""The past that a proxy's utility is computed from: the key `proxy_history`.

Letters: B episodes, T stored steps (the last observation included), N agents, A actions, O obs features.

`gather` reads the agent's own utility at its decision step, hence after the agent's own past.
`own_recurrence` is what 2N agents in a plain PyMARL pipeline would compute (see plugins.vsp.environment):
the proxy is a slot with a recurrent state of its own, which starts at zero with the episode and steps at
every step on what the proxy is shown. Its past is then one that the agent never had. Only the agent's id is
repaired: the proxy of agent i enters as i, not as N + i, which no network of N agents has an input for.

The two are equal for a network without memory that does not see its last action.

Source: arXiv:2408.03692v2, section 4, leaves the proxy's history open.
"""

from typing import Any, Callable, Mapping

from torch import Tensor

from plugins.vsp.indices import NOOP, Status, gather_steps, proxy_utilities

__all__ = ["HISTORIES", "History", "Proxies", "gather", "own_recurrence", "proxy_batch"]

# (controller, utilities of the actions taken [B, T, N] by its network) -> utilities of the proxies [B, T, N]
Proxies = Callable[[Any, Tensor], Tensor]
# (batch, status, decision steps [B, T, N]) -> Proxies, to be asked once for each of the two networks
History = Callable[[Any, Status, Tensor], Proxies]


def gather(batch: Any, status: Status, decision_t: Tensor) -> Proxies:
    """Proxies with their agents' past: a gather, no second forward pass."""
    return lambda mac, q_taken: proxy_utilities(q_taken, decision_t, status.executing)


def own_recurrence(batch: Any, status: Status, decision_t: Tensor) -> Proxies:
    """Proxies with a past of their own: one more unroll for each network."""
    shown = proxy_batch(batch, status.executing, decision_t)

    def utilities(mac: Any, q_taken: Tensor) -> Tensor:
        q_shown: Tensor = mac.unroll(shown).gather(3, shown["actions"]).squeeze(3)
        return q_shown.masked_fill(~status.executing, 0.0)

    return utilities


def proxy_batch(batch: Any, executing: Tensor, decision_t: Tensor) -> dict[str, Tensor]:
    """What N proxies would have been shown and have done, stored as if they were the agents.

    Args:
        batch: obs [B, T, N, O], actions [B, T, N, 1] int64, filled [B, T, 1].
        executing: [B, T, N] bool.
        decision_t: [B, T, N] int64, from `decision_steps`.

    Returns:
        obs and actions of the agent's decision step where it executes, zeros and `noop` elsewhere; `filled`
        as it was. All that a controller's `unroll` reads.
    """
    masked = ~executing.unsqueeze(3)
    return {
        "obs": gather_steps(batch["obs"], decision_t).masked_fill(masked, 0),
        "actions": gather_steps(batch["actions"], decision_t).masked_fill(masked, NOOP),
        "filled": batch["filled"],
    }


HISTORIES: Mapping[str, History] = {"gather": gather, "own_recurrence": own_recurrence}
