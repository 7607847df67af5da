"""Numbers and names of POAC.

Table 2 and 3 of Liang et al. (IJCAI-25, App. E.3) are copied here once; what the papers leave open is marked
"our reading" and explained in README.md. Blood and damage count tenths, so that the win test is exact.
"""

from dataclasses import dataclass

import numpy as np

N_AGENTS, N_ENEMIES, N_UNITS = 3, 3, 6  # units 0-2 are Red, the agents; 3-5 are Blue, the bots
RED, BLUE = 0, 1  # side of unit u: u // N_AGENTS

INFANTRY, CHARIOT, TANK = 0, 1, 2
N_TYPES = 3
TYPE_NAMES = ("infantry", "chariot", "tank")
UNIT_NAMES = tuple(f"{side}_{name}" for side in ("red", "blue") for name in TYPE_NAMES)

DIRECTION_NAMES = ("E", "NE", "NW", "W", "SW", "SE")
N_DIRECTIONS = 6
OFF_MAP = -1  # in a table of neighbours: no such cell
NO_DIRECTION = -1  # the unit is not moving

STOP = 2
MOVE = 3  # MOVE + direction
ATTACK = 9  # ATTACK + enemy
GUIDED_ATTACK = 12  # GUIDED_ATTACK + enemy
N_ACTIONS = 15
ACTION_NAMES = (
    ("noop", "continue", "stop")
    + tuple(f"move-{name}" for name in DIRECTION_NAMES)
    + tuple(f"attack-{enemy}" for enemy in range(N_ENEMIES))
    + tuple(f"guided-attack-{enemy}" for enemy in range(N_ENEMIES))
)

# How an enemy can be shot at, timers apart: the values of Sight.reach.
OUT_OF_REACH, IN_REACH, IN_GUIDED_REACH = 0, 1, 2
FAR = 127  # distance to or from a dead unit; more than any map holds


@dataclass(frozen=True)
class UnitType:
    """One column of Table 2."""

    blood: int  # tenths
    speed: float  # cells a step
    original_speed: float  # cells a step in Yao et al. 2021
    observed_distance: int  # cells
    attacked_distance: int  # cells
    damage_to_armour: int  # tenths, to tank or chariot
    hit_on_armour: int  # tenths of probability
    damage_to_infantry: int  # tenths
    hit_on_infantry: int  # tenths of probability
    cooldown: int  # steps
    preparation: int  # steps
    can_guide: bool
    guided_distance: int  # cells; our reading: as far as it sees


UNIT_TYPES = (
    UnitType(70, 0.2, 0.2, 5, 3, 8, 7, 8, 6, 1, 2, True, 5),  # infantry
    UnitType(80, 0.3, 1.0, 10, 7, 15, 7, 8, 6, 1, 2, True, 10),  # chariot
    UnitType(100, 0.5, 1.0, 10, 7, 12, 8, 6, 6, 1, 0, False, 0),  # tank
)

HIDDEN_SIGHT_DIVISOR = (
    2  # our reading: an enemy in hidden terrain is seen from half the distance, rounded down
)

# The tables as the kernels read them: row u is unit u of 0-5, column j is enemy j of 0-2 (both are ordered
# by type).
_UNITS = UNIT_TYPES + UNIT_TYPES
MAX_BLOOD = np.array([unit.blood for unit in _UNITS], np.int32)
OBSERVED_DISTANCE = np.array([unit.observed_distance for unit in _UNITS], np.int32)
HIDDEN_OBSERVED_DISTANCE = OBSERVED_DISTANCE // HIDDEN_SIGHT_DIVISOR
ATTACKED_DISTANCE = np.array([unit.attacked_distance for unit in _UNITS], np.int32)
COOLDOWN = np.array([unit.cooldown for unit in _UNITS], np.int32)
PREPARATION = np.array([unit.preparation for unit in _UNITS], np.int32)
CAN_GUIDE = np.array([unit.can_guide for unit in _UNITS], np.bool_)
DAMAGE = np.array(
    [[u.damage_to_infantry if j == INFANTRY else u.damage_to_armour for j in range(N_TYPES)] for u in _UNITS],
    np.int32,
)
HIT_TENTHS = np.array(
    [[u.hit_on_infantry if j == INFANTRY else u.hit_on_armour for j in range(N_TYPES)] for u in _UNITS],
    np.int32,
)
# Shots that unit u alone is expected to need on enemy j are blood / (damage * probability). Multiplied by
# both of its products of damage and probability they stay whole numbers: blood * SHOTS_WEIGHT[u, j].
SHOTS_WEIGHT = np.array(
    [
        [
            (
                u.damage_to_armour * u.hit_on_armour
                if j == INFANTRY
                else u.damage_to_infantry * u.hit_on_infantry
            )
            for j in range(N_TYPES)
        ]
        for u in _UNITS
    ],
    np.int32,
)

KAI0, KAI1, KAI2 = 0, 1, 2
BOT_NAMES = ("KAI0", "KAI1", "KAI2")
# Our readings of the bots' rules.
BLIND_STEPS_BEFORE_CHANGE = 20  # KAI1: steps without sight after a hit before it changes its cell
CHARIOT_BEHIND = (3, 5)  # KAI2: cells between the infantry's post and the chariot's
TANK_LEASH = 7  # KAI2: the tank goes for enemies within so many cells of its post


@dataclass(frozen=True)
class Scenario:
    """One row of Table 3, with our readings of what it leaves open."""

    rows: int
    columns: int
    guided: bool  # guided shooting exists
    bot: str
    start_column: int = 1  # Red's; Blue starts at the image under the rotation
    start_rows: tuple[int, int, int] = (-2, 0, 2)  # rows from the middle: infantry, chariot, tank
    start_shifts: tuple[int, int, int] = (-2, 0, 2)  # what random_start draws from, for each side


SCENARIOS = {
    "1": Scenario(13, 23, guided=False, bot="KAI0"),
    "2": Scenario(13, 23, guided=False, bot="KAI1"),
    "3": Scenario(17, 27, guided=True, bot="KAI0"),
    "4": Scenario(27, 37, guided=True, bot="KAI1"),
    "5": Scenario(27, 37, guided=True, bot="KAI2"),
}

METRIC_NAMES = (
    "battle_won",
    "draw",
    "contact",
    "damage_dealt",
    "damage_taken",
    "enemies_dead",
    "allies_dead",
    "guided_shots",
)
