"""The names of the features, in the order in which observation.py writes them."""

from typing import Sequence

from async_envs.smac.constants import DIRECTION_NAMES
from async_envs.smac.types import Rules

POINT_NAMES = ("north", "south", "east", "west", "north-east", "south-west", "south-east", "north-west", "here")


def _unit_block(has_shield: bool, types: tuple[str, ...]) -> tuple[str, ...]:
    return ("health",) + ("shield",) * has_shield + tuple(f"is_{name}" for name in types)


def obs_names(
    rules: Rules, ally_types: tuple[str, ...], enemy_types: tuple[str, ...], action_names: Sequence[str]
) -> tuple[str, ...]:
    """The names of an observation's features.

    Args:
        rules: which blocks there are.
        ally_types, enemy_types: the one-hot of each side; () where it has none.
        action_names: SMAC's actions.
    """
    names = [f"can_move.{name}" for name in DIRECTION_NAMES]
    names += [f"walkable.{name}" for name in POINT_NAMES[:-1]] * rules.shows_pathing
    names += [f"height.{name}" for name in POINT_NAMES] * rules.shows_height
    place = ("distance", "dx", "dy")
    health = rules.shows_all_health
    for k in range(rules.n_enemies):
        body = _unit_block(rules.enemy_shield, enemy_types)
        block = ("can_attack",) + place + (body if health else body[1 + rules.enemy_shield :])
        names += [f"enemy_{k}.{name}" for name in block]
    for k in range(rules.n_agents - 1):
        body = _unit_block(rules.ally_shield, ally_types)
        block = ("visible",) + place + (body if health else body[1 + rules.ally_shield :])
        block += tuple(f"last_{name}" for name in action_names) * rules.shows_last_action
        names += [f"ally_{k}.{name}" for name in block]
    body = _unit_block(rules.ally_shield, ally_types)
    names += [f"own.{name}" for name in (body if rules.shows_own_health else body[1 + rules.ally_shield :])]
    names += ["time"] * rules.shows_time
    if rules.shows_clocks:
        names += ["own.duration", "own.steps_left"]
        names += [f"ally_{k}.steps_left" for k in range(rules.n_agents - 1)]
    return tuple(names)


def state_names(
    rules: Rules,
    ally_types: tuple[str, ...],
    enemy_types: tuple[str, ...],
    action_names: Sequence[str],
    names_of_obs: Sequence[str],
) -> tuple[str, ...]:
    """The names of the state's features; arguments as `obs_names`, and its result."""
    agents = range(rules.n_agents)
    if rules.state_is_obs:
        return tuple(f"agent_{i}.{name}" for i in agents for name in names_of_obs)
    ally, enemy = _unit_block(rules.ally_shield, ally_types), _unit_block(rules.enemy_shield, enemy_types)
    names = [f"agent_{i}.{name}" for i in agents for name in ("health", "cooldown", "x", "y") + ally[1:]]
    names += [f"enemy_{k}.{name}" for k in range(rules.n_enemies) for name in ("health", "x", "y") + enemy[1:]]
    if rules.state_shows_last_action:
        names += [f"agent_{i}.last_{name}" for i in agents for name in action_names]
    names += ["time"] * rules.state_shows_time
    if rules.shows_clocks:
        names += [f"agent_{i}.{name}" for i in agents for name in ("duration", "steps_left")]
    return tuple(names)
