"""Overcooked as a batched asynchronous simulator: cooks with macro-actions make one salad."""

from pathlib import Path
from typing import Any

import numpy as np

from async_envs.core.compile import warm_up
from async_envs.core.errors import unknown_name
from async_envs.core.simulator import FIRST_ACTION, NOT_RESET, Simulator
from async_envs.overcooked import kernels
from async_envs.overcooked.constants import (
    CHOP,
    METRIC_NAMES,
    N_FOODS,
    N_KNIVES,
    N_PLATES,
    N_THINGS,
    PRIMITIVE_NAMES,
    RECIPES,
    macro_names,
)
from async_envs.overcooked.family import FAMILY
from async_envs.overcooked.maps import check_layout, make_kitchen, map_path, read_lines
from async_envs.overcooked.observation import obs_names, state_names
from async_envs.overcooked.path import answers_shape
from async_envs.overcooked.types import (
    Kitchen,
    Memory,
    Output,
    Plans,
    Rules,
    Search,
    Tally,
    Things,
    World,
    flatten,
)

SIZE_OF_LAYOUT = "{key}: size={size} belongs to the maps A, B, C and layout={layout!r} has its own. Leave one out."
USEFUL_PRIMITIVES = "{key}: masks='useful' leaves out macro-actions and actions='primitive' has none. Leave one out."

NO_EPISODE = "{key}: there is no episode {episode} to render. Use 0 to {last}."


class OvercookedSimulator(Simulator):
    """B episodes in one kitchen. README.md holds the rules, the features and what is our reading.

    Observation [B, N, 32] float32 (30 with two agents), state [B, S] float32, actions [B, N] int of 16 or 17:
    `noop`, `continue`, then the macro-actions (or 7: `noop`, `continue` and the five primitive actions). An
    episode is terminated by the right delivery, else truncated at the limit. Nothing is random, so seeds change
    nothing. `world` holds what lies behind these, for scripted teams, pictures and tests.

        sim = make("async:overcooked-A", "A", batch_size=2)
        sim.reset([1, 2])
        sim.step(sim.avail_actions.argmax(-1))
    """

    render_modes = ("rgb_array", "ansi")

    def __init__(self, key: str, batch_size: int, kitchen: Kitchen, rules: Rules):
        n_agents = kitchen.counters.shape[0]
        macros = macro_names(has_counters=kitchen.counters.shape[1] > 0) if rules.is_macro else ()
        super().__init__(
            key=key,
            batch_size=batch_size,
            n_agents=n_agents,
            episode_limit=rules.episode_limit,
            action_names=("noop", "continue") + (macros or PRIMITIVE_NAMES),
            obs_names=obs_names(n_agents),
            state_names=state_names(n_agents, macros),
            metric_names=METRIC_NAMES,
        )
        metrics = np.zeros((len(METRIC_NAMES), batch_size), np.float32)
        self.metrics = dict(zip(METRIC_NAMES, metrics))
        n_cells = len(kitchen.bare)
        self.world = World(
            kitchen=kitchen,
            rules=rules,
            things=make_things(batch_size, n_agents, n_cells),
            memory=Memory(
                places=np.zeros((batch_size, n_agents, N_THINGS + n_agents), np.int32),
                cuts=np.zeros((batch_size, n_agents, N_FOODS), np.int32),
                unseen=np.zeros((batch_size, n_agents, N_FOODS), np.int32),
            ),
            plans=Plans(
                macro=np.zeros((batch_size, n_agents), np.int32),
                running=np.zeros((batch_size, n_agents), np.uint8),
                strikes=np.zeros((batch_size, n_agents), np.int32),
                moves=np.zeros((batch_size, n_agents), np.int32),
            ),
            search=Search(
                heap=np.zeros(n_cells, np.int64),
                marks=np.zeros(n_cells, np.int64),
                n_searches=np.zeros(1, np.int64),
                answers=np.zeros(answers_shape(kitchen), np.uint8),
            ),
            tally=Tally(*(np.zeros(batch_size, np.int32) for _ in Tally._fields)),
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
        )
        self.fields = flatten(self.world)

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        kernels.begin_batch(where, *self.fields)

    def _step(self, actions: np.ndarray) -> None:
        kernels.step_batch(actions, *self.fields)

    def render(self, episode: int = 0, mode: str | None = None) -> Any:
        """A picture of one episode as it stands: `rgb_array` [height, width, 3] uint8, or `ansi`, a text.

        Raises:
            ValueError: another mode, no such episode, or before reset; one line.
        """
        if not self._started:
            raise ValueError(NOT_RESET.format(key=self.key).replace("step", "render"))
        mode = self.render_modes[0] if mode is None else mode
        if mode not in self.render_modes:
            raise ValueError(unknown_name(self.key, "render_mode", mode, self.render_modes))
        if not 0 <= episode < self.batch_size:
            raise ValueError(NO_EPISODE.format(key=self.key, episode=episode, last=self.batch_size - 1))
        from async_envs.overcooked.pictures import MODES

        return MODES[mode](self.world, self.action_names[FIRST_ACTION:], episode)

    def _while_doing(self, episode: int, agent: int) -> str:
        if not self.world.plans.running[episode, agent]:
            return ""
        return f"while executing {self.action_names[FIRST_ACTION + self.world.plans.macro[episode, agent]]!r}"


def make_things(batch_size: int, n_agents: int, n_cells: int) -> Things:
    """Room for the true world; `kernels.lay_out` fills it."""
    return Things(
        cells=np.zeros((batch_size, n_cells), np.uint8),
        places=np.zeros((batch_size, N_THINGS + n_agents), np.int32),
        cuts=np.zeros((batch_size, N_FOODS), np.int32),
        hands=np.zeros((batch_size, n_agents), np.int32),
        boards=np.zeros((batch_size, N_KNIVES), np.int32),
        plates=np.zeros((batch_size, N_PLATES), np.int32),
    )


def make(key: str, variant: str, batch_size: int = 1, **options: Any) -> OvercookedSimulator:
    """The simulator of a kitchen.

    Args:
        key: the task's name, for error lines.
        variant: "A", "B" or "C".
        batch_size: B, episodes that are played at once.
        options: of `FAMILY.options`; what is left out has its default.

    Raises:
        ValueError: an unknown variant or option, a value that is not accepted, options that exclude each
            other, or a layout that cannot be played; one line.
    """
    if variant not in FAMILY.variants:
        raise ValueError(unknown_name(key, "map", variant, FAMILY.variants))
    given = FAMILY.check_options(key, options)
    chosen = {option.name: option.default for option in FAMILY.options} | given
    if chosen["layout"] is not None and "size" in given:
        raise ValueError(SIZE_OF_LAYOUT.format(key=key, size=given["size"], layout=chosen["layout"]))
    if chosen["masks"] == "useful" and chosen["actions"] == "primitive":
        raise ValueError(USEFUL_PRIMITIVES.format(key=key))
    recipe = RECIPES[chosen["task"]]
    where, path = key, map_path(variant, chosen["size"])
    if chosen["layout"] is not None:
        where, path = f"{key}: layout {chosen['layout']}", Path(chosen["layout"])
    layout = check_layout(where, read_lines(key, path), chosen["n_agents"], recipe)
    kitchen = make_kitchen(layout, chosen["obs_radius"])
    rules = make_rules(kitchen, chosen)
    warm_up("overcooked", lambda: _play_one_step(OvercookedSimulator(key, 1, kitchen, rules)))
    return OvercookedSimulator(key, batch_size, kitchen, rules)


def _play_one_step(simulator: OvercookedSimulator) -> None:
    simulator.reset([0])
    simulator.step(np.full((1, simulator.n_agents), FIRST_ACTION))


def make_rules(kitchen: Kitchen, options: dict[str, Any]) -> Rules:
    """What the options (every one of `FAMILY.options`) change in the rules."""
    has_counters = kitchen.counters.shape[1] > 0
    return Rules(
        task=options["task"],
        recipe=RECIPES[options["task"]],
        reward_chop=options["reward_chop"],
        reward_delivery=options["reward_delivery"],
        reward_wrong=options["reward_wrong"],
        reward_step=options["reward_step"],
        episode_limit=options["episode_limit"],
        is_macro=options["actions"] == "macro",
        is_useful=options["masks"] == "useful",
        first_move=CHOP + 1 + has_counters,
    )
