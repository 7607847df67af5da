"""POAC as a batched asynchronous simulator: three agents against three bots on a hexagonal map."""

from math import ceil
from typing import Any

import numpy as np

from async_envs.core.compile import warm_up
from async_envs.core.errors import unknown_name
from async_envs.core.simulator import Simulator
from async_envs.poac import kernels
from async_envs.poac.constants import (
    ACTION_NAMES,
    BOT_NAMES,
    METRIC_NAMES,
    MOVE,
    N_AGENTS,
    N_ENEMIES,
    N_UNITS,
    SCENARIOS,
    STOP,
    UNIT_TYPES,
    Scenario,
)
from async_envs.poac.family import FAMILY
from async_envs.poac.maps import make_board, map_path, read_hidden
from async_envs.poac.observation import OBS_NAMES, STATE_NAMES
from async_envs.poac.types import Board, Memory, Output, Rules, Sight, Tally, Units, World, flatten


class PoacSimulator(Simulator):
    """B episodes of one scenario. README.md holds the rules, the features and what is our reading.

    Observation [B, 3, 89] float32, state [B, 103] float32, actions [B, 3] int of 15: `noop`, `continue`,
    `stop`, six moves, `attack-0..2`, `guided-attack-0..2`. Reward of a step: blood the enemy lost less blood
    we lost. An episode is terminated when a side has no unit left, else truncated at the limit. `world`
    holds what lies behind these, for scripted teams, pictures and tests.

        sim = make("async:poac-1", "1", batch_size=2)
        sim.reset([1, 2])
        sim.step(sim.avail_actions.argmax(-1))
    """

    def __init__(self, key: str, batch_size: int, scenario: Scenario, board: Board, rules: Rules):
        super().__init__(
            key=key,
            batch_size=batch_size,
            n_agents=N_AGENTS,
            episode_limit=rules.episode_limit,
            action_names=ACTION_NAMES,
            obs_names=OBS_NAMES,
            state_names=STATE_NAMES,
            metric_names=METRIC_NAMES,
        )
        self.scenario = scenario
        metrics = np.zeros((len(METRIC_NAMES), batch_size), np.float32)
        self.metrics = dict(zip(METRIC_NAMES, metrics))
        self.world = World(
            board=board,
            rules=rules,
            units=Units(*(np.zeros((batch_size, N_UNITS), np.int32) for _ in Units._fields)),
            sight=Sight(
                distance=np.zeros((batch_size, N_UNITS, N_ENEMIES), np.int32),
                sees=np.zeros((batch_size, N_UNITS, N_ENEMIES), np.uint8),
                reach=np.zeros((batch_size, N_UNITS, N_ENEMIES), np.uint8),
            ),
            memory=make_memory(batch_size),
            tally=Tally(*(np.zeros((batch_size, 2), np.int32) for _ in Tally._fields)),
            out=Output(
                self.obs,
                self.state,
                self.avail_actions,
                self.reward,
                self.terminated,
                self.truncated,
                self.t,
                metrics,
            ),
            streams=np.zeros(batch_size, np.uint64),
            orders=np.zeros((batch_size, N_UNITS), np.int64),
        )
        self.fields = flatten(self.world)

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        kernels.begin_batch(seeds, where, *self.fields)

    def _step(self, actions: np.ndarray) -> None:
        kernels.step_batch(actions, *self.fields)

    def _while_doing(self, episode: int, agent: int) -> str:
        left = int(self.world.units.busy[episode, agent])
        if left == 0:
            return ""
        name = self.action_names[MOVE + int(self.world.units.direction[episode, agent])]
        return f"while executing {name!r} ({left} step{'s' if left > 1 else ''} left)"


def make_memory(batch_size: int) -> Memory:
    """Room for what the bots remember; `opponents.forget` fills it."""
    return Memory(
        post=np.zeros((batch_size, N_UNITS), np.int32),
        alarm=np.zeros((batch_size, N_UNITS), np.int32),
        waypoint=np.zeros((batch_size, N_UNITS), np.int32),
        blind=np.zeros((batch_size, 2), np.int32),
        start=np.zeros((batch_size, 2), np.int32),
    )


def make(key: str, variant: str, batch_size: int = 1, **options: Any) -> PoacSimulator:
    """The simulator of a scenario.

    Args:
        key: the task's name, for error lines.
        variant: "1" to "5".
        batch_size: B, episodes that are played at once.
        options: of `FAMILY.options`; what is left out has its default.

    Raises:
        ValueError: an unknown variant or option, or a value that is not accepted; one line.
    """
    if variant not in SCENARIOS:
        raise ValueError(unknown_name(key, "variant", variant, SCENARIOS))
    chosen = {option.name: option.default for option in FAMILY.options} | FAMILY.check_options(key, options)
    scenario = SCENARIOS[variant]
    board = make_board(scenario, read_hidden(map_path(variant), scenario.rows, scenario.columns))
    rules = make_rules(scenario, chosen)
    warm_up("poac", lambda: _play_one_step(PoacSimulator(key, 1, scenario, board, rules)))
    return PoacSimulator(key, batch_size, scenario, board, rules)


def _play_one_step(simulator: PoacSimulator) -> None:
    simulator.reset([0])
    simulator.step(np.full((1, N_AGENTS), STOP))


def make_rules(scenario: Scenario, options: dict[str, Any]) -> Rules:
    """What the options (every one of `FAMILY.options`, None = the scenario decides) change in the rules."""
    is_guided = scenario.guided if options["guided"] is None else options["guided"]
    speeds = [unit.original_speed if options["speeds"] == "original" else unit.speed for unit in UNIT_TYPES]
    reach = [unit.guided_distance if is_guided and unit.can_guide else -1 for unit in UNIT_TYPES]
    return Rules(
        duration=np.array([ceil(1 / speed) for speed in speeds] * 2, np.int32),
        guided_distance=np.array(reach * 2, np.int32),
        bot=BOT_NAMES.index(options["bot"] or scenario.bot),
        patience=options["patience"],
        episode_limit=options["episode_limit"],
        random_start=options["random_start"],
    )
