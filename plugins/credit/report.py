"""A course and its key frames as what JSON can hold, and as a table for people."""

from typing import Any, Mapping, Sequence

from plugins.credit.course import EXECUTING, INACTIVE, Course, to_list
from plugins.credit.key_frames import KeyFrame
from plugins.mixers.base import Mixer
from plugins.mixers.explanation import MEANING

__all__ = ["frame_report", "labels_of_own", "meanings", "slot_names", "table"]

MOST_OWN = 6  # of a mixer's own numbers that the table shows a row of, the largest


def slot_names(n_agents: int, n_slots: int) -> list[str]:
    """Agents are 0, 1 …; proxies 0', 1' …"""
    return [str(slot) if slot < n_agents else f"{slot - n_agents}'" for slot in range(n_slots)]


def frame_report(course: Course, frame: KeyFrame, action_names: Sequence[str]) -> dict[str, Any]:
    """Everything about one key frame."""
    told = course.explanation
    row = frame.row
    n_agents = course.running_since.shape[1]
    agents = []
    for agent in range(n_agents):
        status = course.status(row, agent)
        agents.append({
            "agent": agent,
            "status": status,
            "action": action_names[int(course.recording.actions[0, course.steps[row], agent])],
            "running_action": action_names[course.running_action(row, agent)],
            "running_since": int(course.running_since[row, agent]),
            **_slot(course, row, agent),
            "proxy": _slot(course, row, n_agents + agent)
            if status == EXECUTING and told.q.shape[1] > n_agents
            else None,
        })
    return {
        "step": int(course.steps[row]),
        "why": list(frame.why),
        "reward": float(course.reward[row]),
        "q_tot": float(course.q_tot[row]),
        "target": float(course.target[row]),
        "td_error": float(course.td_error[row]),
        "agents": agents,
        "f": to_list(told.f[row]),
        "mixed": to_list(told.mixed[row]),
        "own": {name: to_list(values[row]) for name, values in told.own.items()},
    }


def _slot(course: Course, row: int, slot: int) -> dict[str, float]:
    told = course.explanation
    return {name: float(getattr(told, name)[row, slot]) for name in ("q", "slope", "gradient")}


def labels_of_own(mixer: Mixer, course: Course, slots: Sequence[str]) -> dict[str, list[str]]:
    """What the last dimension of each of the mixer's own numbers runs over."""
    given = mixer.own_labels(slots)
    own = course.explanation.own
    return {name: given.get(name, list(slots[: values.shape[-1]])) for name, values in own.items()}


def meanings(course: Course) -> dict[str, str]:
    """What each number of a frame is."""
    names = ["q", "slope", "gradient", "f", "mixed", *course.explanation.own]
    return {name: MEANING[name] for name in names}


def table(frame: Mapping[str, Any], slots: Sequence[str], labels: Mapping[str, Sequence[str]]) -> str:
    """The lines that show one of `frame_report`."""
    lines = [
        f"step {frame['step']} ({', '.join(frame['why'])}): reward {_short(frame['reward'])}, "
        f"Q_tot {_short(frame['q_tot'])}, TD error {_short(frame['td_error'])}"
    ]
    rows = [("agent", "status", "action", "since", "Q_i", "dQ_tot/dQ_i", "proxy Q_i", "dQ_tot/dQ_i")]
    for agent in frame["agents"]:
        proxy = agent["proxy"]
        rows.append((
            str(agent["agent"]), agent["status"], agent["running_action"],
            "" if agent["status"] == INACTIVE else str(agent["running_since"]),
            _short(agent["q"]), _short(agent["slope"]),
            *(("", "") if proxy is None else (_short(proxy["q"]), _short(proxy["slope"]))),
        ))  # fmt: skip
    lines += _aligned(rows, n_left=3)
    f = frame["f"]
    pairs = [(abs(f[i][j]), i, j) for i in range(len(f)) for j in range(i + 1, len(f)) if f[i][j] != 0]
    shown = [f"{slots[i]} {slots[j]}: {_short(f[i][j])}" for _, i, j in sorted(pairs, key=lambda pair: -pair[0])]
    lines.append(f"  f_ij: {', '.join(shown) or 'none'}")
    for name, values in frame["own"].items():
        lines.append(f"  {name}: {_own(values, labels[name])}")
    return "\n".join(lines)


def _own(values: Any, labels: Sequence[str]) -> str:
    """A row of named numbers, largest first where there are many; a matrix row by row."""
    if values and isinstance(values[0], list):
        return "; ".join(_own(row, labels) for row in values)
    pairs = list(zip(labels, values, strict=True))
    if len(pairs) > MOST_OWN:
        pairs = sorted(pairs, key=lambda pair: -abs(pair[1]))[:MOST_OWN]
    more = ", …" if len(values) > MOST_OWN else ""
    return ", ".join(f"{label}: {_short(value)}" for label, value in pairs) + more


def _aligned(rows: Sequence[tuple[str, ...]], n_left: int) -> list[str]:
    """Columns under each other, the first `n_left` to the left, two spaces in."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:n_left], widths)]
        right = [cell.rjust(width) for cell, width in zip(row[n_left:], widths[n_left:])]
        lines.append("  " + "  ".join(left + right).rstrip())
    return lines


def _short(value: float) -> str:
    return f"{value:.3f}" if value == 0 or 0.001 <= abs(value) < 10_000 else f"{value:.2e}"
