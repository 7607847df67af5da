"""From an unrolled batch to what the two mixers are handed.

Letters: B episodes, T transitions, N agents, A actions, H hidden size, R played transitions, packed.
"""

from typing import Any, Mapping, NamedTuple

import torch
from torch import Tensor

from plugins.learners.draws import Draws
from plugins.learners.targets import greedy_actions, step_mask, take
from plugins.mixers.base import Extras, Mixer
from plugins.vsp.indices import gather_steps

__all__ = [
    "NOBODY", "Rows", "Side", "Sides", "Unrolled", "endless_extras", "flat_steps", "pack_side", "played_rows",
    "read_fields", "unroll",
]  # fmt: skip

NOBODY = (
    "{where}: nobody decided anything in a batch of shape {shape}, expected at least one decision. Look at the "
    "environment's avail_actions."
)
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


class Rows(NamedTuple):
    """Where the R rows lie in the batch, each [B, T, 1] bool; in order, row for row."""

    mask: Tensor  # True at the steps that are learned from: the live rows
    closing: Tensor  # True at the steps just before those that are bootstrapped from: the target rows
    played: Tensor  # all transitions


class Sides(NamedTuple):
    """Both mixers' inputs, and where the rows lie in the batch."""

    live: Side
    target: Side
    mask: Tensor  # see Rows
    closing: Tensor
    played: Tensor


def unroll(mac: Any, batch: Any, needs: frozenset[str]) -> Unrolled:
    """The controller over the batch, with its hidden states if they are needed."""
    if needs & {"hidden", "hidden" + DECISION}:
        return Unrolled(*mac.unroll(batch, return_hidden=True))
    return Unrolled(mac.unroll(batch), None)


def played_rows(batch: Any, where: str) -> tuple[Tensor, Tensor]:
    """The mask of the transitions, [B, T, 1], and their flat indices [R], see `flat_steps`.

    Raises:
        ValueError: there is none.
    """
    mask = step_mask(batch["filled"], batch["terminated"][:, :-1])
    return mask, flat_steps(mask, where)


def flat_steps(mask: Tensor, where: str) -> Tensor:
    """The True entries of [B, T, 1] as flat indices [R] into [B * (T + 1)] steps.

    Raises:
        ValueError: there is none.
    """
    rows = torch.cat([mask, torch.zeros_like(mask[:, :1])], dim=1).flatten().nonzero().squeeze(1)
    if len(rows) == 0:
        raise ValueError(
            f"{where}: no step of this batch was played, expected at least one. Check `filled`."
        )
    return rows


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
        batch: obs, state, avail_actions [B, T+1, ...].
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
        "state": lambda: batch["state"].unsqueeze(2).expand(-1, -1, q_all.shape[2], -1),
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


def endless_extras(mac: Any, batch: Any, mixer: Mixer, draws: Draws) -> Extras:
    """What a mixer's own losses see where they are means over all transitions, played or not, [B * T, ...].

    The network runs on over what is stored after an episode's end, and noise is drawn for those steps too.
    """
    names = ("obs", "state", "avail_actions", "actions")
    endless = {name: batch[name] for name in names} | {"filled": torch.ones_like(batch["filled"])}
    unrolled = unroll(mac, endless, mixer.loss_needs)
    given = draws.fields(mixer, endless["filled"], unrolled.q_all)
    fields = read_fields(mixer.loss_needs, endless, unrolled, endless["actions"], given, None)
    return Extras(**{name: values[:, :-1] for name, values in fields.items()}).rows(leading=2)


def pack_side(q: Tensor, state: Tensor, fields: Mapping[str, Tensor], rows: Tensor) -> Side:
    """Only the rows [R] of everything [B, T+1, ...]."""
    extras = Extras(**{name: _pack(values, rows) for name, values in fields.items()})
    return Side(_pack(q, rows), _pack(state, rows), extras)


def _pack(values: Tensor, rows: Tensor) -> Tensor:
    """values [B, T+1, ...] at flat step indices [R] -> [R, ...]."""
    return values.flatten(0, 1).index_select(0, rows)
