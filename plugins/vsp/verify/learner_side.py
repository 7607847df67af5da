"""Checks of the proxies that a learner reads: their utilities, their gradients, the masks, the masked slots.

Letters: B episodes, T1 stored steps, N agents, R transitions, packed in the batch's order.
"""

import copy
from typing import Any, Callable, Mapping, Sequence

import torch
from torch import Tensor

from plugins.learners.checks import NonFiniteError
from plugins.mixers.base import Extras
from plugins.vsp.histories import own_recurrence
from plugins.vsp.verify.recording import Recording
from plugins.vsp.verify.rows import Row, Size, difference, judged, not_exercised
from plugins.vsp.verify.second_pass import at_the_decision, with_own_recurrence
from plugins.vsp.verify.subject import Masks, batch_for, double_copy, masks_of

__all__ = ["check_learner"]

DOUBLE_LIMIT = 1e-9  # of utilities in float64, relative to the largest but at least 1
SINGLE_LIMIT = 1e-3  # the same in float32, against float64
CUDA_BITS_LIMIT = 1e-9  # sums on a GPU come in any order, so two equal computations differ in their last bits
LARGE = 1e30  # what masked slots are filled with, among others

UTILITIES = "proxy utilities = second passes"
GRADIENTS = "gradients of a proxy-only loss"
MASKED = "masked proxies leave"


def check_learner(policy: str, learner: Any, recording: Recording, shown: Recording, seed: int) -> list[Row]:
    """Every check of a learner whose mixer takes proxies, on one batch.

    Args:
        policy: for the rows.
        learner: as it trains, target networks apart; only copies of it move.
        recording: episodes without proxies.
        shown: the same episodes with the proxies that the simulator shows.
        seed: of weights and garbage.
    """
    n_agents = recording.obs.shape[2]
    double = double_copy(learner)
    device = double.mac.hidden_states.device
    batch, masks = batch_for(double, recording), masks_of(recording, n_agents, device, double.at_joint_events)
    size = recording.size
    update = copy.deepcopy(double).compute(batch)
    rows = [_masks_row(policy, update, masks, size)]
    n_proxies = int(masks.executing[masks.transitions].sum())
    names = (f"{UTILITIES}, live", f"{UTILITIES}, target", f"{UTILITIES}, float32", GRADIENTS)
    if rows[0].worst > 0:
        blocked = "the learner's masks are not the batch's"
        rows += [judged(name, policy, size, rows=0, worst=torch.inf, note=blocked) for name in names]
    elif n_proxies == 0:
        rows += [not_exercised(name, policy, size) for name in names]
    else:
        rows += _utility_rows(policy, learner, double, recording, shown, masks, size, seed, names)
    if len(update.sides.live.q) != int(masks.transitions.sum()):
        return rows
    return rows + _masked_rows(policy, double, batch, masks, size, seed)


def _masks_row(policy: str, update: Any, masks: Masks, size: Size) -> Row:
    """Who decides and executes, and which steps are learned from, as the learner read them."""
    pairs = [(update.sides.mask.squeeze(2), masks.transitions[:, :-1])]
    for side, where in ((update.sides.live, masks.transitions), (update.sides.target, masks.after)):
        for name in ("deciding", "executing"):
            given = getattr(side.extras, name)
            if given is not None:
                pairs.append((given, getattr(masks, name)[where]))
    worst = max(difference(given, expected) for given, expected in pairs)
    n_rows = sum(expected.numel() for _, expected in pairs)
    return judged("the learner's masks", policy, size, rows=n_rows, worst=worst)


def _utility_rows(
    policy: str,
    learner: Any,
    double: Any,
    recording: Recording,
    shown: Recording,
    masks: Masks,
    size: Size,
    seed: int,
    names: Sequence[str],
) -> list[Row]:
    batch = batch_for(double, recording)
    reference = _reference(double, recording, shown, masks)
    here, after = masks.transitions, masks.after
    subject = copy.deepcopy(double)  # its parameters, and so its gradients, are its own
    update = subject.compute(batch)
    live, target = update.sides.live.extras.q_proxy, update.sides.target.extras.q_proxy
    expected = reference(double.mac)
    with torch.no_grad():
        expected_target = reference(double.target_mac)[after]
        single = copy.deepcopy(learner).compute(batch_for(learner, recording)).sides.live.extras.q_proxy
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(live.shape, generator=generator, dtype=torch.float64).to(live)
    ours = _gradients((live * weights).sum(), list(subject.mac.parameters()))
    theirs = _gradients((expected[here] * weights).sum(), list(double.mac.parameters()))
    n_live, n_target = int(masks.executing[here].sum()), int(masks.executing[after].sum())
    found = (
        (n_live, _apart(live, expected[here]), DOUBLE_LIMIT),
        (n_target, _apart(target, expected_target), DOUBLE_LIMIT),
        (n_live, _apart(single.double(), expected[here]), SINGLE_LIMIT),
        (sum(p.numel() for p in double.mac.parameters()), _all_apart(ours, theirs), DOUBLE_LIMIT),
    )
    return [
        judged(name, policy, size, rows=n, worst=worst, limit=limit)
        for name, (n, worst, limit) in zip(names, found)
    ]


def _reference(
    double: Any, recording: Recording, shown: Recording, masks: Masks
) -> Callable[[Any], Tensor]:
    """Controller -> utilities [B, T1, N] by second passes, of the history that the learner is set to."""
    if double.proxy_history is not own_recurrence:
        batch = batch_for(double, recording)
        return lambda mac: at_the_decision(mac, batch, masks)
    n_agents = recording.obs.shape[2]
    everything = batch_for(double, shown)
    proxies = {name: everything[name][:, : recording.filled.shape[1], n_agents:] for name in ("obs", "actions")}
    return lambda mac: with_own_recurrence(mac, proxies, masks)


def _masked_rows(
    policy: str, double: Any, batch: Mapping[str, Tensor], masks: Masks, size: Size, seed: int
) -> list[Row]:
    """Loss and gradients of the batch as it is, and with garbage in everything of a masked proxy."""
    clean_loss, clean = _loss_and_gradients(double, batch)
    try:
        dirty_loss, dirty = _loss_and_gradients(_with_garbage(double, masks, seed), batch)
    except NonFiniteError:  # the garbage came so far that the loss or a target overflowed
        dirty_loss, dirty = torch.full_like(clean_loss, torch.inf), tuple(clean_loss * torch.inf for _ in clean)
    limit = CUDA_BITS_LIMIT if clean_loss.is_cuda else 0.0
    apart = _all_apart if limit else _bits_apart
    n_masked = int((~masks.executing[masks.transitions]).sum())
    n_gradients = sum(gradient.numel() for gradient in clean if gradient is not None)
    if n_masked == 0:
        why = "every agent executed at every step"
        return [not_exercised(f"{MASKED} the {what}", policy, size, why) for what in ("loss", "gradient")]
    found = (
        ("loss", 1, apart([dirty_loss], [clean_loss])),
        ("gradient", n_gradients, apart(dirty, clean)),
    )
    return [
        judged(
            f"{MASKED} the {what}", policy, size, rows=n, worst=worst, limit=limit, note=f"{n_masked} slots filled"
        )
        for what, n, worst in found
    ]


def _loss_and_gradients(learner: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    subject = copy.deepcopy(learner)
    loss = subject.compute(batch).loss
    return loss.detach(), _gradients(loss, subject.params)


def _gradients(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Of each parameter; None where none flows."""
    if not loss.requires_grad:
        return tuple(None for _ in parameters)
    return tuple(torch.autograd.grad(loss, list(parameters), allow_unused=True))


def _with_garbage(double: Any, masks: Masks, seed: int) -> Any:
    """A copy of the learner in which masked slots have wrong decision steps, utilities and observations.

    The utilities and decision steps are spoilt where the proxies' history is asked, the observations (and the
    utilities once more) at the mixers' doors.
    """
    subject = copy.deepcopy(double)
    history = subject.proxy_history

    def spoilt_history(batch: Any, status: Any, decision_t: Tensor) -> Any:
        generator = torch.Generator().manual_seed(seed)
        steps = torch.randint(decision_t.shape[1], decision_t.shape, generator=generator).to(decision_t)
        proxies = history(batch, status, torch.where(masks.executing, decision_t, steps))

        def utilities(mac: Any, q_taken: Tensor) -> Tensor:
            return _spoilt(proxies(mac, q_taken), masks.executing, seed)

        return utilities

    subject.proxy_history = spoilt_history
    for mixer, where in ((subject.mixer, masks.transitions), (subject.target_mixer, masks.after)):
        mixer.register_forward_pre_hook(_spoil_at_the_door(masks.executing[where], seed))
    return subject


def _spoil_at_the_door(executing: Tensor, seed: int) -> Callable[..., Any]:
    def spoil(mixer: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        q, state, extras = given
        spoilt: Extras = extras
        of_proxies = [name for name in Extras._fields if name == "q_proxy" or name.endswith("_decision")]
        for k, name in enumerate(of_proxies, start=1):
            values = getattr(extras, name)
            if values is not None:
                spoilt = spoilt._replace(**{name: _spoilt(values, executing, seed + k)})
        return q, state, spoilt

    return spoil


def _spoilt(values: Tensor, executing: Tensor, seed: int) -> Tensor:
    """`values` [..., N] or [..., N, O] with large and small numbers of both signs where nobody executes."""
    generator = torch.Generator().manual_seed(seed)
    garbage = 1e3 * torch.randn(values.shape, generator=generator, dtype=torch.float64)
    extreme = torch.randint(4, values.shape, generator=generator)
    garbage[extreme == 0], garbage[extreme == 1] = LARGE, -LARGE
    masked = ~executing if values.dim() == executing.dim() else ~executing.unsqueeze(-1)
    return torch.where(masked, garbage.to(values), values)


def _apart(one: Tensor, other: Tensor) -> float:
    """Largest difference, relative to the largest number but at least 1."""
    if one.shape != other.shape:
        return float("inf")
    if one.numel() == 0:
        return 0.0
    scale = max(1.0, float(other.detach().abs().max()))
    worst = float((one.detach() - other.detach()).abs().max()) / scale
    return worst if worst == worst else float("inf")


def _all_apart(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> float:
    """`_apart` of the pair that is furthest apart; no gradient counts as zeros."""
    return max(_apart(a, b) for a, b in _paired(one, other))


def _bits_apart(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> float:
    return max(difference(a, b) for a, b in _paired(one, other))


def _paired(one: Sequence[Tensor | None], other: Sequence[Tensor | None]) -> list[tuple[Tensor, Tensor]]:
    pairs = []
    for a, b in zip(one, other, strict=True):
        like = a if a is not None else b
        if like is not None:
            pairs.append((torch.zeros_like(like) if a is None else a, torch.zeros_like(like) if b is None else b))
    return pairs
