"""Asynchronous SMAC as a batched simulator: agents command the units of one side in a battle."""

from pathlib import Path
from typing import Any, Mapping

import numpy as np

from async_envs.core.compile import warm_up
from async_envs.core.errors import unknown_name
from async_envs.core.simulator import NOT_RESET, Simulator
from async_envs.smac import kernels
from async_envs.smac.asynchrony import action_names, check_durations, make_durations
from async_envs.smac.constants import ATTACK, DURATION_SCALE, METRIC_NAMES
from async_envs.smac.family import FAMILY
from async_envs.smac.maps import Map, make_ground, map_path, read_map
from async_envs.smac.names import obs_names, state_names
from async_envs.smac.types import (
    Ground,
    Output,
    Rules,
    World,
    flatten,
    make_battle,
    make_clocks,
    name_roster,
    name_units,
)
from async_envs.smac.units import unit_arrays

NO_EPISODE = "{key}: there is no episode {episode} to render. Use 0 to {last}."


class SmacSimulator(Simulator):
    """B battles on one map. README.md holds the rules, the features and what is our reading.

    Actions [B, N] int of 7 + enemies: `noop`, `continue`, `stop`, four moves, `attack-0` … (for a healer the
    number is an ally's). Observation, state and reward are SMAC's. An episode is terminated by a win or a
    defeat, else truncated at the limit. With `smac_compat` the numbers of the actions are SMAC's, and statuses
    cannot be read from the masks. `world` holds what lies behind these, for scripted teams, pictures and tests.

        sim = make("async:smac-3m", "3m", batch_size=2)
        sim.reset([1, 2])
        sim.step(sim.avail_actions.argmax(-1))
    """

    render_modes = ("rgb_array", "ansi")

    def __init__(self, key: str, batch_size: int, field: Map, ground: Ground, rules: Rules, durations: np.ndarray):
        is_compatible = rules.is_compatible
        names = action_names(rules.n_enemies, is_compatible)
        in_smac = action_names(rules.n_enemies, True)
        features = obs_names(rules, field.ally_types, field.enemy_types, in_smac)
        super().__init__(
            key=key,
            batch_size=batch_size,
            n_agents=field.n_agents,
            episode_limit=rules.episode_limit,
            action_names=names,
            obs_names=features,
            state_names=state_names(rules, field.ally_types, field.enemy_types, in_smac, features),
            metric_names=METRIC_NAMES,
        )
        self.field = field
        metrics = np.zeros((len(METRIC_NAMES), batch_size), np.float32)
        self.metrics = dict(zip(METRIC_NAMES, metrics))
        battle = make_battle(batch_size, roster_fields(field), rules)
        self.world = World(
            units=name_units(battle),
            roster=name_roster(battle),
            rules=rules,
            battle=battle,
            ground=ground,
            clocks=make_clocks(batch_size, durations, ATTACK + field.n_enemies),
            out=Output(
                self.obs,
                self.state,
                self.avail_actions,
                self.reward,
                self.terminated,
                self.truncated,
                self.t,
                metrics,
                np.zeros(batch_size, np.bool_),
            ),
            streams=np.zeros((2, batch_size), np.uint64),
        )
        self.fields = flatten(self.world)
        self._counts_decisions = not rules.is_compatible  # SMAC's own actions do not tell who decides

    def _reset(self, seeds: np.ndarray, where: np.ndarray) -> None:
        kernels.begin_batch(seeds, where, *self.fields)
        kernels.show_batch(*self.fields)

    def _step(self, actions: np.ndarray) -> None:
        if not self._counts_decisions:
            is_running = ~(self.terminated | self.truncated)
            self.decisions[is_running] += self.get_decision_mask()[is_running].sum(axis=1, dtype=np.int32)
        kernels.step_batch(actions, *self.fields)
        kernels.show_batch(*self.fields)

    def get_busy(self) -> np.ndarray:
        """[B, N] int32: steps that each agent still owes of its move; a copy."""
        return self.world.clocks.left.copy()

    def get_decision_mask(self) -> np.ndarray:
        """[B, N] bool: who is alive and free to decide."""
        return (self.world.units.alive[:, : self.n_agents] == 1) & (self.world.clocks.left == 0)

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
        from async_envs.smac.pictures import MODES

        return MODES[mode](self.world, self.field, episode)

    def _while_doing(self, episode: int, agent: int) -> str:
        left = int(self.world.clocks.left[episode, agent])
        if left == 0:
            return ""
        move = int(self.world.clocks.move[episode, agent])
        name = action_names(self.field.n_enemies, True)[move]
        return f"while executing {name!r} ({left} step{'s' if left > 1 else ''} left)"


def roster_fields(field: Map) -> dict[str, np.ndarray]:
    """The fields of `types.Roster` for a map."""
    n = field.n_agents
    bits = [_bit(field.ally_types, unit.name) for unit in field.types[:n]]
    bits += [_bit(field.enemy_types, unit.name) for unit in field.types[n:]]
    starts = np.array(field.starts)
    own = {"type_bit": np.array(bits), "start_x": starts[:, 0], "start_y": starts[:, 1]}
    return unit_arrays(field.types, n) | own


def _bit(types: tuple[str, ...], name: str) -> int:
    return types.index(name) if name in types else 0


def make(key: str, variant: str, batch_size: int = 1, **options: Any) -> Any:
    """The simulator of a map.

    Args:
        key: the task's name, for error lines.
        variant: "3m", "2s_vs_1sc" …
        batch_size: B, episodes that are played at once.
        options: of `FAMILY.options`; what is left out has its default.

    Raises:
        ValueError: an unknown map or option, a value that is not accepted, a map file that is none, or a
            backend that is not there; one line.

    Returns:
        A `SmacSimulator`; an `AdapterSimulator` for another backend than native.
    """
    if variant not in FAMILY.variants:
        raise ValueError(unknown_name(key, "map", variant, FAMILY.variants))
    defaults = {option.name: option.default for option in FAMILY.options}
    chosen = defaults | FAMILY.check_options(key, options)
    where, path = key, map_path(variant)
    if chosen["map_file"] is not None:
        where, path = f"{key}: map_file {chosen['map_file']}", Path(chosen["map_file"])
    field = read_map(where, path, chosen["profile"])
    check_durations(key, chosen["durations"], field.n_agents)
    if chosen["backend"] != "native":
        from async_envs.smac.adapter import make_adapter

        return make_adapter(key, variant, batch_size, chosen, defaults, field)
    durations = make_durations(chosen["durations"], field.agent_names)
    rules = make_rules(field, durations, chosen)
    ground = make_ground(field)
    warm_up("smac", lambda: _play_one_step(SmacSimulator(key, 1, field, ground, rules, durations)))
    return SmacSimulator(key, batch_size, field, ground, rules, durations)


def _play_one_step(simulator: SmacSimulator) -> None:
    simulator.reset([0])
    simulator.step(np.full((1, simulator.n_agents), simulator.action_names.index("stop")))


def make_rules(field: Map, durations: np.ndarray, options: Mapping[str, Any]) -> Rules:
    """What the map and the options (every one of `FAMILY.options`) settle."""
    n = field.n_agents
    enemies = field.types[n:]
    most = options["reward_death_value"] * len(enemies) + options["reward_win"]
    most += sum(unit.health + unit.shield for unit in enemies)
    point = field.attack_point or (0.0, 0.0)
    return Rules(
        n_agents=n,
        n_enemies=len(enemies),
        episode_limit=options["episode_limit"] or field.episode_limit,
        has_attack_point=field.attack_point is not None,
        attack_x=point[0],
        attack_y=point[1],
        has_medivac_rule=field.has_medivac_rule,
        type_bits=len(field.ally_types),
        ally_shield=field.has_shields(slice(None, n)),
        enemy_shield=field.has_shields(slice(n, None)),
        sight=options["sight"],
        is_sparse=options["reward_sparse"],
        is_only_positive=options["reward_only_positive"],
        death_value=options["reward_death_value"],
        win=options["reward_win"],
        defeat=options["reward_defeat"],
        negative_scale=options["reward_negative_scale"],
        reward_divisor=most / options["reward_scale_rate"] if options["reward_scale"] else 1.0,
        shows_all_health=options["obs_all_health"],
        shows_own_health=options["obs_own_health"] or options["obs_all_health"],
        shows_last_action=options["obs_last_action"],
        shows_pathing=options["obs_pathing_grid"],
        shows_height=options["obs_terrain_height"],
        shows_time=options["obs_timestep_number"],
        state_is_obs=options["obs_instead_of_state"],
        state_shows_last_action=options["state_last_action"],
        state_shows_time=options["state_timestep_number"],
        shows_clocks=options["async_features"],
        duration_scale=max(DURATION_SCALE, float(durations.max())),
        is_scaled=options["mode"] == "scaled",
        is_cancelling=options["on_block"] == "cancel",
        records_submitted=options["last_action"] == "submitted",
        is_compatible=options["smac_compat"],
        ends_at_limit=options["smac_compat"] and not options["continuing_episode"],
        has_missiles=options["projectiles"],
        has_cooldown_jitter=options["cooldown_jitter"],
        spawn_jitter=options["spawn_jitter"],
    )
