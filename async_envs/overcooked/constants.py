"""Numbers and names of Overcooked; README.md holds the rules they belong to."""

import numpy as np

from async_envs.overcooked.dishes import DISHES

# Codes of the true cell map and of what an agent believes to be on a cell.
FLOOR, COUNTER, AGENT, TOMATO_CODE, LETTUCE_CODE, PLATE_CODE, KNIFE_CODE, DELIVERY_CODE, ONION_CODE = range(9)

# Things: what can be carried. The order is that of the observations, of painting and of the macro targets.
TOMATO, LETTUCE, ONION, PLATE_1, PLATE_2 = range(5)
FOOD_NAMES = ("tomato", "lettuce", "onion")
THING_NAMES = FOOD_NAMES + ("plate_1", "plate_2")
N_FOODS, N_PLATES, N_THINGS, N_KNIVES = 3, 2, 5, 2
FIRST_PLATE = PLATE_1
NOTHING = -1  # in hands, on a knife
THING_CODES = np.array([TOMATO_CODE, LETTUCE_CODE, ONION_CODE, PLATE_CODE, PLATE_CODE], np.uint8)
FIRST_AGENT = N_THINGS  # agent i is entry FIRST_AGENT + i wherever the movable entities stand in a row

CHOPPED = 3  # cuts

NO_CELL = -1

# Primitive actions, in the order of the original.
RIGHT, DOWN, LEFT, UP, STAY = range(5)
N_DIRECTIONS = 4
PRIMITIVE_NAMES = ("right", "down", "left", "up", "stay")
STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))  # (rows, columns) of each direction

# Macro-actions. Macro k in GET_TOMATO … DELIVER aims at entity k - 1; the moves come last.
STAY_MACRO, GET_TOMATO, GET_PLATE_1, GO_TO_KNIFE_1, DELIVER, CHOP, GO_TO_COUNTER = 0, 1, 4, 6, 8, 9, 10
_TARGETED = (
    "get-tomato", "get-lettuce", "get-onion", "get-plate-1", "get-plate-2", "go-to-knife-1", "go-to-knife-2",
    "deliver",
)  # fmt: skip
MACROS_BEFORE_MOVES = ("stay",) + _TARGETED + ("chop",)
STRIKES = 3  # pushes of one chop


def macro_names(has_counters: bool) -> tuple[str, ...]:
    """The macro-actions of a kitchen; `go-to-counter` exists only where there are middle counters."""
    return MACROS_BEFORE_MOVES + (("go-to-counter",) if has_counters else ()) + PRIMITIVE_NAMES[:N_DIRECTIONS]


# The foods of each dish, as bits: 1 tomato, 2 lettuce, 4 onion.
RECIPES = tuple(sum(1 << FOOD_NAMES.index(food) for food in dish.split("-")) for dish in DISHES)
N_TASKS = len(DISHES)

# Remembered cuts fade by 3 with every step unseen. Beyond so many steps they show as 0 (below 3e-31).
FADED = 64
VALUES = np.array(
    [[cuts / CHOPPED / 3.0**unseen if unseen < FADED else 0.0 for unseen in range(FADED + 1)]
     for cuts in range(CHOPPED + 1)],
    np.float32,
)  # fmt: skip

METRIC_NAMES = ("battle_won", "chops", "wrong_deliveries")
