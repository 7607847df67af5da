"""From an unrolled batch to what the two mixers are handed.

Letters: B episodes, T transitions, N agents, A actions, H hidden size, R played transitions, packed.
"""

from typing import Any, Mapping, NamedTuple

import torch
from torch import Tensor

from plugins.learners.targets import greedy_actions, step_mask, take
from plugins.mixers.base import Extras
from plugins.vsp.indices import gather_steps

__all__ = ["Side", "Sides", "Unrolled", "pack_side", "played_rows", "read_fields", "unroll"]

DECISION = "_decision"  # ends the name of a field that is read at the agents' decision steps


class Unrolled(NamedTuple):
    """One network over whole episodes."""

    q_all: Tensor  # [B, T+1, N, A]
    hidden: Tensor | None  # [B, T+1, N, H]; None where no mixer asked


class Side(NamedTuple):
    """What one of the two mixers is handed: R rows of step t (live) or of step t + 1 (target)."""

    q: Tensor  # [R, N]
    state: Tensor  # [R, S]
    extras: Extras


class Sides(NamedTuple):
    """Both mixers' inputs, and where the rows lie in the batch."""

    live: Side
    target: Side
    mask: Tensor  # [B, T, 1] bool; its True entries are the R rows, in order


def unroll(mac: Any, batch: Any, needs: frozenset[str]) -> Unrolled:
    """The controller over the batch, with its hidden states if they are needed."""
    if needs & {"hidden", "hidden" + DECISION}:
        return Unrolled(*mac.unroll(batch, return_hidden=True))
    return Unrolled(mac.unroll(batch), None)


def played_rows(batch: Any, where: str) -> tuple[Tensor, Tensor]:
    """The mask of the transitions, [B, T, 1], and their flat indices [R] into [B * (T + 1)] steps.

    Raises:
        ValueError: there is none.
    """
    mask = step_mask(batch["filled"], batch["terminated"][:, :-1])
    rows = torch.cat([mask, torch.zeros_like(mask[:, :1])], dim=1).flatten().nonzero().squeeze(1)
    if len(rows) == 0:
        raise ValueError(
            f"{where}: no step of this batch was played, expected at least one. Check `filled`."
        )
    return mask, rows


def read_fields(
    needs: frozenset[str],
    batch: Any,
    unrolled: Unrolled,
    actions: Tensor,
    given: Mapping[str, Tensor],
    decision_t: Tensor | None,
) -> dict[str, Tensor]:
    """The fields of Extras that a mixer needs, over all stored steps.

    Args:
        needs: their names.
        batch: obs, avail_actions [B, T+1, ...].
        unrolled: the network on this side.
        actions: [B, T+1, N, 1] int64; whose utilities are mixed.
        given: fields that stand already: proxies and status, random inputs.
        decision_t: [B, T+1, N] int64; None without proxies.

    Returns:
        name -> [B, T+1, N, ...].
    """
    q_all, avail = unrolled.q_all, batch["avail_actions"]
    makers = {
        "obs": lambda: batch["obs"],
        "hidden": lambda: unrolled.hidden,
        "actions_onehot": lambda: torch.zeros_like(q_all).scatter_(3, actions, 1.0),
        "q_greedy": lambda: take(q_all.detach(), greedy_actions(q_all, avail)),
        "is_greedy": lambda: (actions == greedy_actions(q_all, avail)).squeeze(3),
    }
    fields: dict[str, Tensor] = {}
    for name in needs:
        source = name.removesuffix(DECISION)
        values = given[source] if source in given else makers[source]()
        if source != name:
            assert decision_t is not None  # only mixers with proxies ask for decision steps
            values = gather_steps(values, decision_t)
        fields[name] = values
    return fields


def pack_side(q: Tensor, state: Tensor, fields: Mapping[str, Tensor], rows: Tensor) -> Side:
    """Only the rows [R] of everything [B, T+1, ...]."""
    extras = Extras(**{name: _pack(values, rows) for name, values in fields.items()})
    return Side(_pack(q, rows), _pack(state, rows), extras)


def _pack(values: Tensor, rows: Tensor) -> Tensor:
    """values [B, T+1, ...] at flat step indices [R] -> [R, ...]."""
    return values.flatten(0, 1).index_select(0, rows)
