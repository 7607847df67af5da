"""Asynchronous SMAC as the catalog knows it."""

from dataclasses import dataclass
from typing import Any

from async_envs.core.options import Family, Option, StepsOption

DURATION_RULES = ("index_mod3", "by_type", "blocks", "all_one")
BACKENDS = ("native", "sc2", "smaclite")


@dataclass(frozen=True)
class DifficultyOption(Option):
    """SMAC's difficulties, also written as numbers; checked to their names."""

    def check(self, where: str, value: Any) -> Any:
        """The name of the difficulty.

        Raises:
            ValueError: there is no such difficulty; one line.
        """
        return super().check(where, str(value) if type(value) is int else value)


def _flag(name: str, default: bool, help: str) -> Option:
    return Option(name, bool, default, help)


def _points(name: str, default: float, help: str) -> Option:
    return Option(name, float, default, help, low=-1e6, high=1e6)


FAMILY = Family(
    name="smac",
    variants=(
        "2s_vs_1sc", "3s5z", "3s5z_vs_3s6z", "3m", "8m", "2s3z", "5m_vs_6m", "8m_vs_9m", "10m_vs_11m", "27m_vs_30m",
        "3s_vs_5z", "MMM", "MMM2", "corridor", "6h_vs_8z", "1c3s5z", "2c_vs_64zg", "bane_vs_bane",
    ),
    default_variant="2s_vs_1sc",
    options=(
        StepsOption(
            "durations", str, "index_mod3", "How many steps a move takes each agent: a rule, or a number for each.",
            rules=DURATION_RULES,
        ),
        Option(
            "mode", str, "hold",
            "hold walks at normal speed for all steps of a move; scaled walks the way of one step, spread over them.",
            choices=("hold", "scaled"),
        ),
        Option(
            "on_block", str, "wait",
            "On blocked ground a moving unit stops for the step and waits, or is free at the next (cancel).",
            choices=("wait", "cancel"),
        ),
        Option(
            "last_action", str, "executed",
            "What last-action features show: what the unit did, or what was submitted.",
            choices=("executed", "submitted"),
        ),
        _flag("async_features", False, "Append own duration and steps left, allies' steps left; both in the state."),
        Option(
            "smac_compat", bool, False, "SMAC's sizes and action numbers to the letter; busy is then action 0.",
            hides_status=True,
        ),
        Option("profile", str, "map", "The numbers of the units.", choices=("map", "melee410", "smaclite")),
        Option("backend", str, "native", "What plays the battle.", choices=BACKENDS),
        DifficultyOption(
            "difficulty", str, "7",
            "SMAC's difficulty, for the sc2 backend; the native enemy is scripted and the same at each.",
            choices=("1", "2", "3", "4", "5", "6", "7", "8", "9", "A"),
        ),
        Option("sight", float, 9.0, "How far an agent sees, in map units.", low=0.1, high=100.0),
        _flag("projectiles", False, "Missiles take their time to fly."),
        _flag("cooldown_jitter", False, "Each cooldown is -1 to 2 loops longer, at random."),
        Option("spawn_jitter", float, 0.0, "Largest random shift of each start along each axis.", low=0.0, high=2.0),
        Option("episode_limit", int, None, "Steps after which an episode ends; none is the map's.", low=1, high=10**6),
        Option("map_file", str, None, "A TOML file with a map of your own, in place of the key's."),
        _flag("reward_sparse", False, "Only 1 for a win and -1 for a defeat."),
        _flag("reward_only_positive", True, "The agents' own losses do not count."),
        _points("reward_death_value", 10.0, "For each enemy that falls."),
        _points("reward_win", 200.0, "For a win."),
        _points("reward_defeat", 0.0, "For a defeat."),
        _points("reward_negative_scale", 0.5, "Weight of the agents' own losses."),
        _flag("reward_scale", True, "Divide rewards so that a win brings about reward_scale_rate."),
        Option("reward_scale_rate", float, 20.0, "See reward_scale.", low=1e-6, high=1e6),
        _flag("obs_all_health", True, "Observations show health and shields of all in sight, and the agent's own."),
        _flag("obs_own_health", True, "Observations show the agent's own health and shield."),
        _flag("obs_last_action", False, "Observations show the last actions of allies in sight."),
        _flag("obs_pathing_grid", False, "Observations show walkable ground around the agent."),
        _flag("obs_terrain_height", False, "Observations show heights around the agent."),
        _flag("obs_timestep_number", False, "Observations show the time."),
        _flag("obs_instead_of_state", False, "The state is all observations in a row."),
        _flag("state_last_action", True, "The state shows the last actions."),
        _flag("state_timestep_number", False, "The state shows the time."),
        _flag("continuing_episode", False, "With smac_compat: the step limit truncates, as it does without."),
    ),
    entry="async_envs.smac.simulator:make",
    summary="SMAC's battles on a native engine; a move takes one, two or three steps, depending on the agent.",
)
