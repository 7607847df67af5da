"""Individual-Global-Max: the deciding agents' own best actions are together the best for the team.

Letters: R transitions, J joint actions of one row, N agents, A actions.

Source: Eq. 7 of arXiv:2408.03692v2, over the actions of deciding agents; executing and inactive agents have
one action each.
"""

import copy
from itertools import product
from typing import Any

import torch
from torch import Tensor

from plugins.mixers.base import Extras
from plugins.vsp.verify.recording import Recording
from plugins.vsp.verify.rows import Row, judged, not_exercised
from plugins.vsp.verify.subject import batch_for, double_copy, masks_of

__all__ = ["MOST_JOINT_ACTIONS", "check_individual_global_max"]

CHECK = "best alone = best together"
MOST_JOINT_ACTIONS = 4096  # of a row; above, one agent at a time leaves its best action
ROWS = 32  # looked at for each policy
LIMIT = 1e-9  # what a joint action may be better by, in float64, relative to the largest value but at least 1


def check_individual_global_max(policy: str, learner: Any, recording: Recording, seed: int) -> Row:
    """No joint action of the deciding agents beats their individual argmaxes, on rows drawn at random.

    Ties are settled by value: any of several best actions is a best one.

    Args:
        policy: for the row.
        learner: a copy of it is asked, after it has seen the batch (running constants included).
        recording: episodes without proxies.
        seed: of the rows.
    """
    n_agents = recording.obs.shape[2]
    subject = double_copy(learner)
    batch = batch_for(subject, recording)
    masks = masks_of(recording, n_agents, subject.mac.hidden_states.device, subject.at_joint_events)
    live = subject.compute(batch).sides.live
    here = masks.transitions
    if len(live.q) != int(here.sum()):
        why = f"the mixer got {len(live.q)} steps, {int(here.sum())} were played"
        return judged(CHECK, policy, recording.size, rows=0, worst=torch.inf, limit=LIMIT, note=why)
    with torch.no_grad():
        q_all = copy.deepcopy(subject.mac).unroll(batch)[here]
    avail = batch["avail_actions"][here] != 0
    has_choice = (masks.deciding[here] & (avail.sum(2) > 1)).any(1).nonzero().squeeze(1).cpu()
    if len(has_choice) == 0:
        return not_exercised(CHECK, policy, recording.size, why="no agent had a choice")
    generator = torch.Generator().manual_seed(seed)
    drawn = has_choice[torch.randperm(len(has_choice), generator=generator)[:ROWS]].tolist()

    worst, n_joint, n_flat, n_swept = 0.0, 0, 0, 0
    for row in drawn:
        joint, is_whole = joint_actions(q_all[row], avail[row])
        values = _mixed(subject.mixer, q_all[row], joint, live.state[row], live.extras, row)
        scale = max(1.0, float(values.abs().max()))
        worst = max(worst, float(values.max() - values[0]) / scale)
        n_joint += len(joint)
        n_flat += bool((values.max() - values.min()) <= LIMIT * scale)
        n_swept += not is_whole
    note = f"{len(drawn)} steps, {n_flat} without a difference"
    note += f", {n_swept} one agent at a time" if n_swept else ""
    return judged(CHECK, policy, recording.size, rows=n_joint, worst=worst, limit=LIMIT, note=note)


def joint_actions(q: Tensor, avail: Tensor) -> tuple[Tensor, bool]:
    """Joint actions to compare, the individual argmaxes first.

    Args:
        q: [N, A] utilities.
        avail: [N, A] bool.

    Returns:
        [J, N] int64: all of them, or where there are more than MOST_JOINT_ACTIONS those in which at most one
        agent leaves its best; and whether it is all.
    """
    best = q.masked_fill(~avail, -torch.inf).argmax(1)
    choices = [row.nonzero().squeeze(1).tolist() for row in avail]
    count = 1
    for each in choices:
        count *= len(each)
    if count <= MOST_JOINT_ACTIONS:
        others = torch.tensor(list(product(*choices)), device=q.device)
    else:
        others = torch.cat([_sweep(best, agent, choices[agent]) for agent in range(len(choices))])
    return torch.cat([best.unsqueeze(0), others]), count <= MOST_JOINT_ACTIONS


def _sweep(best: Tensor, agent: int, actions: list[int]) -> Tensor:
    """[len(actions), N]: `best` with one agent's action exchanged."""
    joint = best.repeat(len(actions), 1)
    joint[:, agent] = torch.tensor(actions, device=best.device)
    return joint


def _mixed(mixer: Any, q: Tensor, joint: Tensor, state: Tensor, extras: Extras, row: int) -> Tensor:
    """[J] values of the joint actions of one row."""
    n_joint = len(joint)
    repeated = Extras(
        *[None if field is None else field[row].detach().expand(n_joint, *field.shape[1:]) for field in extras]
    )
    if extras.actions_onehot is not None:
        onehot = torch.nn.functional.one_hot(joint, q.shape[1]).to(q.dtype)
        repeated = repeated._replace(actions_onehot=onehot)
    q_taken = q.expand(n_joint, -1, -1).gather(2, joint.unsqueeze(2)).squeeze(2)
    with torch.no_grad():
        values: Tensor = mixer(q_taken, state.expand(n_joint, -1), repeated)
    return values.squeeze(1)
