"""A tiny asynchronous family for tests: miners dig for gold until there is enough, all died or time is up.

`dig` takes three steps and then brings gold drawn from the episode's stream (reward = gold); a digger dies
with probability 1/16 a step; `carry` takes two steps, brings 0.25 for sure and needs a partner alive; `wait`
takes one. A cave-in (probability 1/8 a step) ends a `dig` early: the agent is deciding again, unpaid.
"""

from typing import NamedTuple

import numpy as np

from async_envs.core.compile import kernel
from async_envs.core.options import Family, Option
from async_envs.core.seeding import next_float
from async_envs.core.simulator import CONTINUE, NOOP, Simulator

WAIT, DIG, CARRY = 2, 3, 4
ACTION_NAMES = ("noop", "continue", "wait", "dig", "carry")
DURATIONS = (0, 0, 1, 3, 2)
OBS_NAMES = ("alive", "busy", "digging", "gold", "luck", "own_id")
DEATH, CAVE_IN = 1 / 16, 1 / 8  # probabilities a step, while digging

FAMILY = Family(
    name="toy",
    variants=("2", "3"),
    default_variant="3",
    options=(
        Option("episode_limit", int, None, "Steps before an episode is cut off.", low=1, high=10_000),
        Option("goal", float, None, "Gold that wins the episode.", low=0.5),
        Option("season", str, None, "Wet mines give half the gold.", choices=("dry", "wet")),
        Option("deadly", bool, None, "Whether digging can kill."),
    ),
    entry="tests.toy:make",
    summary="Miners for tests.",
)


class Miners(NamedTuple):
    """The mines of B episodes."""

    alive: np.ndarray  # [B, N] bool
    busy: np.ndarray  # [B, N] int32, steps left of the action under way; 0 = deciding
    doing: np.ndarray  # [B, N] int32, the action under way, 0 when there is none
    luck: np.ndarray  # [B, N] float64 in [0, 1), drawn at reset, what a dig brings at most
    gold: np.ndarray  # [B] float64
    streams: np.ndarray  # [B] uint64


def make(
    key: str,
    variant: str,
    batch_size: int,
    *,
    episode_limit: int = 20,
    goal: float = 2.0,
    season: str = "dry",
    deadly: bool = True,
) -> "ToySimulator":
    """The toy simulator of `variant` ("2" or "3" agents)."""
    return ToySimulator(
        key, batch_size, n_agents=int(variant), episode_limit=episode_limit, goal=goal,
        yield_=0.5 if season == "wet" else 1.0, death=DEATH if deadly else 0.0,
    )


class ToySimulator(Simulator):
    """B mines; metrics are battle_won, gold and n_dead."""

    render_modes = ("ansi",)

    def __init__(
        self,
        key: str,
        batch_size: int,
        n_agents: int,
        episode_limit: int,
        goal: float,
        yield_: float,
        death: float,
    ):
        super().__init__(
            key=key,
            batch_size=batch_size,
            n_agents=n_agents,
            episode_limit=episode_limit,
            action_names=ACTION_NAMES,
            obs_names=OBS_NAMES,
            state_names=tuple(f"{name}_{i}" for i in range(n_agents) for name in OBS_NAMES) + ("time",),
            metric_names=("battle_won", "gold", "n_dead"),
        )
        shape = (batch_size, n_agents)
        self.miners = Miners(
            alive=np.zeros(shape, np.bool_),
            busy=np.zeros(shape, np.int32),
            doing=np.zeros(shape, np.int32),
            luck=np.zeros(shape),
            gold=np.zeros(batch_size),
            streams=np.zeros(batch_size, np.uint64),
        )
        self.goal, self.yield_, self.death = float(goal), float(yield_), float(death)
        self._durations = np.array(DURATIONS, np.int32)

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        begin_batch(self.miners, seeds, where)
        observe_batch(self.miners, where, self.goal, self.episode_limit, self.t, self.obs, self.state,
                      self.avail_actions)

    def _step(self, actions: np.ndarray) -> None:
        step_batch(
            self.miners, actions, self._durations, self.goal, self.yield_, self.death, self.episode_limit,
            self.t, self.reward, self.terminated, self.truncated, self.obs, self.state, self.avail_actions,
            self.metrics["battle_won"], self.metrics["gold"], self.metrics["n_dead"],
        )

    def _while_doing(self, episode: int, agent: int) -> str:
        busy = int(self.miners.busy[episode, agent])
        if busy == 0:
            return ""
        return f"while executing {ACTION_NAMES[self.miners.doing[episode, agent]]!r} ({busy} steps left)"

    def render(self, episode: int = 0, mode: str | None = None) -> str:
        """One line: what every miner of the episode does."""
        return f"gold {self.miners.gold[episode]:.2f}: " + ", ".join(
            f"{ACTION_NAMES[doing]}" if alive else "dead"
            for doing, alive in zip(self.miners.doing[episode], self.miners.alive[episode])
        )


def random_actions(simulator: Simulator, rng: np.random.Generator) -> np.ndarray:
    """[B, N] int64 drawn uniformly from what is available; 0 where a row allows nothing."""
    keys = rng.random(simulator.avail_actions.shape) * simulator.avail_actions
    return keys.argmax(axis=-1)


@kernel
def begin_batch(miners, seeds, where):
    """New mines in the episodes of `where`. Writes: every array of miners."""
    for b in range(where.shape[0]):
        if not where[b]:
            continue
        miners.streams[b] = seeds[b]
        miners.gold[b] = 0.0
        for i in range(miners.alive.shape[1]):
            miners.alive[b, i] = True
            miners.busy[b, i] = 0
            miners.doing[b, i] = NOOP
            miners.luck[b, i] = next_float(miners.streams, b)


@kernel
def work(miners, b, actions, durations, yield_, death):
    """One step of every miner of episode `b`; the gold brought up. Writes: miners."""
    brought = 0.0
    for i in range(miners.alive.shape[1]):
        if not miners.alive[b, i]:
            continue
        if miners.busy[b, i] == 0:
            miners.doing[b, i] = actions[b, i]
            miners.busy[b, i] = durations[actions[b, i]]
        miners.busy[b, i] -= 1
        if miners.doing[b, i] == DIG:
            if next_float(miners.streams, b) < death:
                miners.alive[b, i] = False
                miners.busy[b, i] = 0
            elif miners.busy[b, i] == 0:
                brought += yield_ * miners.luck[b, i] * next_float(miners.streams, b)
            elif next_float(miners.streams, b) < CAVE_IN:
                miners.busy[b, i] = 0
        elif miners.doing[b, i] == CARRY and miners.busy[b, i] == 0:
            brought += 0.25
        if miners.busy[b, i] == 0:
            miners.doing[b, i] = NOOP
    miners.gold[b] += brought
    return brought


@kernel
def n_alive(miners, b):
    """Miners of episode `b` that live."""
    count = 0
    for i in range(miners.alive.shape[1]):
        if miners.alive[b, i]:
            count += 1
    return count


@kernel
def observe(miners, b, goal, episode_limit, t, obs, state, avail_actions):
    """Writes: rows `b` of obs, state, avail_actions."""
    n_agents, obs_dim = obs.shape[1], obs.shape[2]
    partners = n_alive(miners, b)
    for i in range(n_agents):
        alive = miners.alive[b, i]
        executing = alive and miners.busy[b, i] > 0
        avail_actions[b, i, :] = 0
        if not alive:
            avail_actions[b, i, NOOP] = 1
        elif executing:
            avail_actions[b, i, CONTINUE] = 1
        else:
            avail_actions[b, i, WAIT] = 1
            avail_actions[b, i, DIG] = 1
            avail_actions[b, i, CARRY] = 1 if partners > 1 else 0
        obs[b, i, :] = 0.0
        obs[b, i, 5] = (i + 1) / n_agents
        if alive:
            obs[b, i, 0] = 1.0
            obs[b, i, 1] = miners.busy[b, i] / 3.0
            obs[b, i, 2] = 1.0 if miners.doing[b, i] == DIG else 0.0
            obs[b, i, 3] = min(1.0, miners.gold[b] / goal)
            obs[b, i, 4] = miners.luck[b, i]
        for k in range(obs_dim):
            state[b, i * obs_dim + k] = obs[b, i, k]
    state[b, n_agents * obs_dim] = t[b] / episode_limit


@kernel
def observe_batch(miners, where, goal, episode_limit, t, obs, state, avail_actions):
    """Writes: the rows of `where` of obs, state, avail_actions."""
    for b in range(where.shape[0]):
        if where[b]:
            observe(miners, b, goal, episode_limit, t, obs, state, avail_actions)


@kernel
def step_batch(
    miners, actions, durations, goal, yield_, death, episode_limit, t, reward, terminated, truncated, obs,
    state, avail_actions, battle_won, gold, n_dead,
):  # fmt: skip
    """One step in every running episode. Writes: every array but actions and durations."""
    for b in range(actions.shape[0]):
        if terminated[b] or truncated[b]:
            reward[b] = 0.0
            continue
        t[b] += 1
        reward[b] = work(miners, b, actions, durations, yield_, death)
        won = miners.gold[b] >= goal
        terminated[b] = won or n_alive(miners, b) == 0
        truncated[b] = not terminated[b] and t[b] >= episode_limit
        observe(miners, b, goal, episode_limit, t, obs, state, avail_actions)
        if terminated[b] or truncated[b]:
            battle_won[b] = 1.0 if won else 0.0
            gold[b] = miners.gold[b]
            n_dead[b] = miners.alive.shape[1] - n_alive(miners, b)
