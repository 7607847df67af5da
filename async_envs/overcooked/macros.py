# mypy: disallow-untyped-defs=False
"""Macro-actions: their translation into one primitive action a step, and when they end."""

from async_envs.core.compile import lean_kernel
from async_envs.overcooked.constants import (
    CHOP,
    CHOPPED,
    DELIVER,
    DELIVERY_CODE,
    DOWN,
    FIRST_AGENT,
    FIRST_PLATE,
    FLOOR,
    COUNTER,
    GET_PLATE_1,
    GO_TO_COUNTER,
    GO_TO_KNIFE_1,
    KNIFE_CODE,
    LEFT,
    N_FOODS,
    N_THINGS,
    NO_CELL,
    NOTHING,
    RIGHT,
    STAY,
    STAY_MACRO,
    STRIKES,
    UP,
)
from async_envs.overcooked.memory import believed_code, believes_agent
from async_envs.overcooked.path import first_move

ENDS = 8  # added to a primitive action: the macro ends with this step


@lean_kernel
def plan(kitchen, rules, things, memory, plans, search, b, i, macro):
    """The primitive action that `macro` makes of the situation, plus ENDS if it ends with it.

    Writes: search.
    """
    me = things.places[b, FIRST_AGENT + i]
    if macro == STAY_MACRO:
        return STAY + ENDS
    if macro >= rules.first_move:
        return plan_move(kitchen, memory, b, i, me, macro - rules.first_move)
    if macro == CHOP:
        return plan_chop(kitchen, things, plans, b, i, me)
    if macro == GO_TO_COUNTER:
        return plan_counter(kitchen, memory, search, b, i, me)
    side_step = kitchen.side_step
    if macro == DELIVER and me == side_step[0] and believes_agent(memory, b, i, side_step[1]):
        return side_step[3]
    return plan_target(kitchen, things, memory, search, b, i, me, macro)


@lean_kernel
def plan_move(kitchen, memory, b, i, me, move):
    """A single step, made only where the cell is believed to be free floor."""
    if believed_code(kitchen, memory, b, i, kitchen.neighbours[me, move]) == FLOOR:
        return move + ENDS
    return STAY + ENDS


@lean_kernel
def plan_chop(kitchen, things, plans, b, i, me):
    """Strike at the first unchopped food on a knife beside the agent; the third strike ends it."""
    for move in (RIGHT, DOWN, LEFT, UP):
        cell = kitchen.neighbours[me, move]
        if things.cells[b, cell] == KNIFE_CODE:
            thing = things.boards[b, knife_at(kitchen, cell)]
            if NOTHING < thing < N_FOODS and things.cuts[b, thing] < CHOPPED:
                return move + (ENDS if plans.strikes[b, i] == STRIKES - 1 else 0)
    return STAY + ENDS


@lean_kernel
def plan_counter(kitchen, memory, search, b, i, me):
    """On to the first middle counter that is believed empty; the push that puts something there ends it."""
    for k in range(kitchen.counters.shape[1]):
        cell = kitchen.counters[i, k]
        if cell == NO_CELL:
            break
        if believed_code(kitchen, memory, b, i, cell) == COUNTER:
            move = first_move(kitchen, memory, search, b, i, me, cell)
            return move + (ENDS if is_adjacent(kitchen, me, cell) else 0)
    return STAY + ENDS


@lean_kernel
def plan_target(kitchen, things, memory, search, b, i, me, macro):
    """On to a thing, a knife or the delivery, and push. Rules and their order: README.md."""
    target = target_of(kitchen, memory, b, i, macro)
    thing = macro - 1  # where the macro is one of the gets
    is_in_view = kitchen.in_view[me, target] > 0
    is_on_plate = (things.places[b, FIRST_PLATE] == target) | (things.places[b, FIRST_PLATE + 1] == target)
    if (thing < N_FOODS) & is_in_view & is_on_plate:
        return STAY + ENDS
    side_step = kitchen.side_step
    if (target == kitchen.knives[0]) & (me == side_step[2]) and believes_agent(memory, b, i, side_step[1]):
        return side_step[3]
    if is_in_view & believes_agent(memory, b, i, target):
        return STAY + ENDS
    if not is_adjacent(kitchen, me, target):
        move = first_move(kitchen, memory, search, b, i, me, target)
        return move + (ENDS if move == STAY else 0)

    move = direction_to(kitchen, me, target)
    ends = ENDS
    held = things.hands[b, i]
    if GET_PLATE_1 <= macro < GO_TO_KNIFE_1 and NOTHING < held < N_FOODS:
        if things.cuts[b, held] == CHOPPED:
            ends = 0
        else:
            move = STAY
    if GO_TO_KNIFE_1 <= macro < DELIVER and held == NOTHING:
        move = STAY
    if thing < N_FOODS and is_unchopped_on_knife(kitchen, things, b, target):
        move = STAY
    if thing < N_THINGS and target != things.places[b, thing]:
        move = STAY
    return move + ends


@lean_kernel
def ends_after(kitchen, things, memory, b, i, macro):
    """Whether a macro that goes on ends after all, now that the step is made and seen."""
    if not 0 < macro <= DELIVER:
        return False
    me = things.places[b, FIRST_AGENT + i]
    target = target_of(kitchen, memory, b, i, macro)
    thing = macro - 1
    is_wrong = (thing < N_THINGS) & (target != things.places[b, min(thing, N_THINGS - 1)])
    is_unchopped = (thing < N_FOODS) & (things.cuts[b, min(thing, N_FOODS - 1)] < CHOPPED)
    is_idle = (thing >= N_THINGS) & (things.hands[b, i] == NOTHING)
    has_arrived = is_idle | (is_unchopped & (kitchen.bare[target] == KNIFE_CODE))
    return is_wrong | (has_arrived & is_adjacent(kitchen, me, target))


@lean_kernel
def is_useless(kitchen, things, b, i, macro, planned):
    """Whether a macro that would begin with `planned` is certain to end at once without effect."""
    if planned == STAY + ENDS:
        return macro != STAY_MACRO
    if macro != DELIVER or planned < ENDS or things.hands[b, i] != NOTHING:
        return False
    me = things.places[b, FIRST_AGENT + i]
    return kitchen.bare[kitchen.neighbours[me, planned - ENDS]] == DELIVERY_CODE


@lean_kernel
def target_of(kitchen, memory, b, i, macro):
    """The cell that one of the macros 1 … 8 aims at, as agent `i` remembers it."""
    remembered = memory.places[b, i, min(macro - 1, N_THINGS - 1)]  # both are read, so that no branch is needed
    fixed = kitchen.fixtures[max(macro - GO_TO_KNIFE_1, 0)]
    return remembered if macro < GO_TO_KNIFE_1 else fixed


@lean_kernel
def is_unchopped_on_knife(kitchen, things, b, cell):
    """Whether `cell` is a knife that in truth holds a food that is not chopped."""
    if kitchen.bare[cell] != KNIFE_CODE:
        return False
    thing = things.boards[b, knife_at(kitchen, cell)]
    return NOTHING < thing < N_FOODS and things.cuts[b, thing] < CHOPPED


@lean_kernel
def knife_at(kitchen, cell):
    """Number of the knife on `cell`, one of the two."""
    return 0 if kitchen.knives[0] == cell else 1


@lean_kernel
def is_adjacent(kitchen, cell, other):
    """Whether two cells share a side."""
    rows = abs(kitchen.row[cell] - kitchen.row[other])
    return rows + abs(kitchen.column[cell] - kitchen.column[other]) == 1


@lean_kernel
def direction_to(kitchen, cell, other):
    """The move from a cell to one beside it."""
    down = kitchen.row[other] - kitchen.row[cell]
    right = kitchen.column[other] - kitchen.column[cell]
    return DOWN * (down == 1) + LEFT * (right == -1) + UP * (down == -1)  # RIGHT is 0
