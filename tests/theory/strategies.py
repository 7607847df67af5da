"""Random tabular tasks for property tests, small enough to be solved exactly.

The tables of a task come from a few drawn rows: entry (s, m_1, …, m_N) reads row
c_0 s + c_1 m_1 + … + c_N m_N + c s (m_1 + 1) … (m_N + 1), modulo ROWS, and a few entries are then overridden.
So a few draws make tables with structure, ties and exceptions, and a failing task shrinks to one of two agents
and two states where every action takes one step, every transition leads to state 0 and every reward is 0, but
for what the failure needs. Everything is drawn as bytes in the largest size and cut to the size of the task,
so that a smaller task keeps what was drawn; byte 0 means the simplest entry.

Letters: S states, N agents, A own actions, M activities.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Callable

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from async_envs.tabular.exact.padded import padded
from async_envs.tabular.exact.solve import n_deterministic
from async_envs.tabular.task import TabularTask, make_task

SEEDS = st.integers(0, 2**32 - 1)  # of policies and plays
S, N, A, SIGHTS = 4, 3, 3, 3  # the largest sizes: states, agents, actions, observations
LONGEST, MOST_STEPS = 4, 12  # of an action, of an episode
ROWS, OVERRIDES = 5, 3  # of a table
SHOWN = 60  # lines of a task that is printed
HALF = 128  # bytes from here on switch something on
MOST_EXTENDED = 250  # bound on the states (s, ongoing, seen), before reachability
ENUMERATED = (1_000, 1_000, 10_000, 100_000)  # bounds on the deterministic joint policies, drawn from
DISCOUNTS = (0.5, 0.0, 0.9, 0.99)

HALVES = [(-1) ** k * (k + 1) // 2 / 2 for k in range(16)]  # 0, -1/2, 1/2, -1 … 4: these make ties
REWARDS = np.array(HALVES * 8 + [round((k * 37 % 101 - 50) / 7, 3) for k in range(HALF)])  # of a byte


class RandomTask(TabularTask):
    """A task that is printed in short: sizes, and what a simplest task does not have."""

    def __repr__(self) -> str:
        lines = [f"S={self.n_states} N={self.n_agents} A={self.n_own_actions} discount={self.discount}"]
        lines.append(f"episode_limit={self.episode_limit} durations={self.durations.tolist()}")
        lines += [f"{name}={getattr(self, name).tolist()}" for name in ("start", "observations")]
        for name in ("terminal", "inactive", "interrupts"):
            lines.append(f"{name}: {np.argwhere(getattr(self, name)).tolist()}")
        lines.append(f"masked: {np.argwhere(~self.available).tolist()}")
        for cell in np.ndindex(self.rewards.shape):
            if len(lines) < SHOWN and (self.rewards[cell] or self.transitions[cell][0] < 1.0):
                lines.append(f"{cell}: reward {self.rewards[cell]}, to {self.transitions[cell].tolist()}")
        return "\n    ".join(lines) + ("\n    …" if len(lines) == SHOWN else "")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis asks for."""
        printer.text(repr(self))


@dataclass(frozen=True)
class Parts:
    """What is drawn, before `longest` is cut down to the sizes that are solved."""

    longest: np.ndarray  # [N, A] int, steps of each action, at most
    duration_weights: np.ndarray | None  # [N, A, LONGEST] int; None: fixed durations
    n_observations: int
    rest: dict[str, Any]  # the other arguments of make_task

    def task(self) -> RandomTask:
        """The task, through the checks that users' tasks pass."""
        durations: np.ndarray = self.longest
        if self.duration_weights is not None:
            steps, longest = np.arange(1, LONGEST + 1), self.longest[..., None]
            durations = normalised(np.where(steps < longest, self.duration_weights, 0) + (steps == longest))
        return RandomTask(**vars(make_task("random task", durations=durations, **self.rest)))

    def n_extended(self) -> int:
        """At most so many states (s, ongoing, seen)."""
        under_way = (self.longest - 1).sum(1)
        return len(self.rest["rewards"]) * int(np.prod(1 + self.n_observations * under_way))

    def shorter(self) -> "Parts":
        """The longest action takes one step less."""
        longest = self.longest.copy()
        longest[np.unravel_index(longest.argmax(), longest.shape)] -= 1
        return replace(self, longest=longest)

    def less_busy(self) -> "Parts":
        """The longest action of the agent that is least busy, but is at times, takes one step less."""
        longest = self.longest.copy()
        under_way = (longest - 1).sum(1)
        agent = np.where(under_way > 0, under_way, under_way.max() + 1).argmin()
        longest[agent, longest[agent].argmax()] -= 1
        return replace(self, longest=longest)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Weights as probabilities, along the last axis."""
    return weights / weights.sum(-1, keepdims=True)


def distributions(bytes_: np.ndarray, size: int) -> np.ndarray:
    """[..., size] rows of probabilities from [..., 1 + at least size] bytes.

    One outcome for sure, or several with weights in whole numbers, some of them 0.
    """
    sure = np.eye(size)[bytes_[..., 0] % size]
    more = bytes_[..., 1 : 1 + size] % 4 * (bytes_[..., :1] >= HALF)
    return normalised(sure + more)


def tables(bytes_: np.ndarray, entries: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[*shape, …]: a table of `entries`, by the rule at the top.

    Args:
        bytes_: [OVERRIDES + 1, 1 + S.ndim + N] the factors, then for each override its switch and place.
        entries: [ROWS + OVERRIDES, …] what the rule reads, then what overrides it.
    """
    grid = np.indices(shape)
    which = np.tensordot(bytes_[0, : len(shape)], grid, 1) + bytes_[0, -1] * grid[0] * (1 + grid[1:]).prod(0)
    table = entries[which % ROWS]
    for (switch, *place), entry in zip(bytes_[1:], entries[ROWS:]):
        if switch >= HALF:
            table[tuple(k % size for k, size in zip(place, shape))] = entry
    return table


def flags(bytes_: np.ndarray, *sizes: int) -> np.ndarray:
    """[*sizes] bool from the switch and the flags: all False in half of the cases, else True with 0.3."""
    array = bytes_[1:].reshape(SHAPES_OF_FLAGS[len(sizes)])
    return (array[tuple(slice(size) for size in sizes)] > 178) & (bytes_[0] >= HALF)


FACTORS = (1 + OVERRIDES, 2 + N)
SHAPES_OF_FLAGS = {1: (S,), 2: (S, N), 3: (S, N, A)}
SHAPES = {
    "transition_rule": FACTORS,
    "transition_rows": (ROWS + OVERRIDES, 1 + S),
    "stays": (1 + S,),
    "terminal": (1 + S,),
    "start": (1 + S,),
    "reward_rule": FACTORS,
    "reward_rows": (ROWS + OVERRIDES,),
    "has_phases": (),
    "longest": (N, A),
    "has_random_durations": (),
    "duration_weights": (N, A, LONGEST),
    "n_observations": (),
    "observation_rule": FACTORS,
    "observation_rows": (ROWS + OVERRIDES, 1 + SIGHTS),
    "forbidden": (1 + S * N * A,),
    "inactive": (1 + S * N,),
    "interrupts": (1 + S * N,),
    "episode_limit": (),
    "discount": (),
    "state_is_shown": (),
}  # of what is drawn: bytes
N_BYTES = sum(int(np.prod(shape)) for shape in SHAPES.values())


def named(text: bytes) -> dict[str, np.ndarray]:
    """The drawn bytes as int64 arrays of SHAPES."""
    array, drawn, begin = np.frombuffer(text, np.uint8).astype(np.int64), {}, 0
    for name, shape in SHAPES.items():
        end = begin + int(np.prod(shape))
        drawn[name], begin = array[begin:end].reshape(shape), end
    return drawn


@st.composite
def parts(
    draw: Callable, agents: tuple[int, int] = (2, N), states: tuple[int, int] = (2, S),
    actions: tuple[int, int] = (2, A),
) -> Parts:
    """Tasks of any size within the bounds, whose models may be too large."""
    n_agents, n_states, n_actions = [draw(st.integers(*bounds)) for bounds in (agents, states, actions)]
    drawn = named(draw(st.binary(min_size=N_BYTES, max_size=N_BYTES)))
    cells = (n_states, *((2 if drawn["has_phases"] >= HALF else 1) * n_actions,) * n_agents)
    transitions = tables(drawn["transition_rule"], distributions(drawn["transition_rows"], n_states), cells)
    stays = flags(drawn["stays"], n_states)
    transitions[stays] = np.eye(n_states)[stays].reshape(-1, *[1] * n_agents, n_states)
    terminal = flags(drawn["terminal"], n_states) & (np.arange(n_states) > 0)
    start = distributions(drawn["start"], n_states) * ~terminal
    n_observations = 1 + int(drawn["n_observations"]) % SIGHTS
    sights = distributions(drawn["observation_rows"], n_observations)
    forbidden = flags(drawn["forbidden"], n_states, n_agents, n_actions)
    forbidden[forbidden.all(-1)] = False
    agents_actions = (slice(n_agents), slice(n_actions))
    has_random_durations = drawn["has_random_durations"] >= HALF
    return Parts(
        longest=1 + drawn["longest"][agents_actions] % LONGEST,
        duration_weights=drawn["duration_weights"][agents_actions] % 3 if has_random_durations else None,
        n_observations=n_observations,
        rest={
            "transitions": transitions,
            "rewards": tables(drawn["reward_rule"], REWARDS[drawn["reward_rows"]], cells),
            "observations": tables(drawn["observation_rule"], sights, (n_states, n_agents)),
            "start": normalised(start) if start.any() else 0,
            "terminal": terminal,
            "available": ~forbidden,
            "inactive": flags(drawn["inactive"], n_states, n_agents),
            "interrupts": flags(drawn["interrupts"], n_states, n_agents),
            "episode_limit": 1 + int(drawn["episode_limit"]) % MOST_STEPS,
            "discount": DISCOUNTS[drawn["discount"] % len(DISCOUNTS)],
            "state_is_shown": bool(drawn["state_is_shown"] >= HALF),
        },
    )


@st.composite
def tasks(draw: Callable, most_extended: int = MOST_EXTENDED, **sizes: tuple[int, int]) -> TabularTask:
    """Tasks whose model with proxies has at most `most_extended` states; `sizes` are those of `parts`."""
    drawn = draw(parts(**sizes))
    while drawn.n_extended() > most_extended:
        drawn = drawn.shorter()
    return drawn.task()


@st.composite
def enumerable_tasks(draw: Callable, bounds: tuple[int, ...] = ENUMERATED) -> TabularTask:
    """Tasks with at most max(bounds) deterministic joint policies."""
    n_agents, n_actions = draw(st.integers(2, N)), draw(st.integers(2, A))
    most_states = 2 if n_agents + n_actions == 6 else 3
    drawn = draw(parts((n_agents, n_agents), (2, most_states), (n_actions, n_actions)))
    most = max(draw(st.sampled_from(bounds)), n_actions ** (n_agents * most_states))
    while drawn.n_extended() > MOST_EXTENDED or n_deterministic(padded(drawn.task())) > most:
        drawn = drawn.less_busy()
    return drawn.task()


def fingerprint(task: TabularTask) -> bytes:
    """Equal for tasks of equal arrays, to count different ones."""
    arrays = (
        task.transitions, task.rewards, task.durations, task.observations, task.start, task.terminal,
        task.available, task.inactive, task.interrupts,
    )  # fmt: skip
    text = [f"{array.shape}".encode() + array.tobytes() for array in arrays]
    text.append(str((task.episode_limit, task.discount)).encode())
    return hashlib.blake2b(b"/".join(text), digest_size=16).digest()


def more_examples(factor: int, **changes: Any) -> settings:
    """The profile's settings with `factor` times the examples."""
    profile = settings.get_profile(settings.get_current_profile_name())
    return settings(profile, max_examples=factor * profile.max_examples, **changes)


def wanted_examples() -> int:
    """How many examples the profile asks for."""
    return settings.get_profile(settings.get_current_profile_name()).max_examples
