# mypy: disallow-untyped-defs=False
"""One primitive step of the world: who moves, who waits for whom, and what pushing against a cell does."""

from async_envs.core.compile import lean_kernel
from async_envs.overcooked.constants import (
    AGENT,
    CHOPPED,
    COUNTER,
    DELIVERY_CODE,
    FIRST_AGENT,
    FIRST_PLATE,
    FLOOR,
    KNIFE_CODE,
    N_FOODS,
    N_THINGS,
    NOTHING,
    STAY,
    THING_CODES,
)
from async_envs.overcooked.macros import knife_at

NO_EVENT, CHOP_EVENT, RIGHT_EVENT, WRONG_EVENT = range(4)


@lean_kernel
def act_all(kitchen, rules, things, plans, b):
    """The primitive actions of episode `b`, in passes until every agent has acted or lost its move.

    Returns the numbers of rewarded chops, right and wrong deliveries. Writes: things.
    """
    n_agents = things.hands.shape[1]
    chops, right, wrong = 0, 0, 0
    n_open = n_agents
    is_open = (1 << n_agents) - 1  # bit i: agent i has not acted yet
    while n_open > 0:
        for i in range(n_agents):
            if not is_open >> i & 1:
                continue
            event, is_waiting = NO_EVENT, False
            move = plans.moves[b, i]
            if move != STAY:
                cell = kitchen.neighbours[things.places[b, FIRST_AGENT + i], move]
                code = things.cells[b, cell]
                if code == FLOOR:
                    walk(things, b, i, cell)
                elif code == AGENT:
                    j = agent_at(things, b, cell)
                    if is_open >> j & 1:
                        if is_swap(kitchen, things, plans, b, i, j):
                            swap(things, b, i, j)
                            is_open &= ~(1 << j)
                            n_open -= 1
                        else:
                            is_waiting = True
                else:
                    event = interact(kitchen, rules, things, b, i, cell, code)
            if not is_waiting:
                is_open &= ~(1 << i)
                n_open -= 1
            chops += event == CHOP_EVENT
            right += event == RIGHT_EVENT
            wrong += event == WRONG_EVENT
    return chops, right, wrong


@lean_kernel
def agent_at(things, b, cell):
    """The agent that stands on `cell`."""
    for j in range(things.hands.shape[1]):
        if things.places[b, FIRST_AGENT + j] == cell:
            return j
    return 0


@lean_kernel
def is_swap(kitchen, things, plans, b, i, j):
    """Whether agent `j` moves to where agent `i` is."""
    move = plans.moves[b, j]
    if move == STAY:
        return False
    return kitchen.neighbours[things.places[b, FIRST_AGENT + j], move] == things.places[b, FIRST_AGENT + i]


@lean_kernel
def walk(things, b, i, cell):
    """Agent `i` steps on the free `cell` with what it carries. Writes: things."""
    things.cells[b, things.places[b, FIRST_AGENT + i]] = FLOOR
    things.cells[b, cell] = AGENT
    stand(things, b, i, cell)


@lean_kernel
def swap(things, b, i, j):
    """Two agents change places with what they carry. Writes: things.places."""
    cell = things.places[b, FIRST_AGENT + i]
    stand(things, b, i, things.places[b, FIRST_AGENT + j])
    stand(things, b, j, cell)


@lean_kernel
def stand(things, b, i, cell):
    """Agent `i` and what it carries are on `cell`. Writes: things.places."""
    things.places[b, FIRST_AGENT + i] = cell
    if things.hands[b, i] != NOTHING:
        place(things, b, things.hands[b, i], cell)


@lean_kernel
def place(things, b, thing, cell):
    """A thing, and what is in it, is on `cell`. Writes: things.places."""
    things.places[b, thing] = cell
    if thing >= FIRST_PLATE:
        foods = things.plates[b, thing - FIRST_PLATE]
        for food in range(N_FOODS):
            if foods >> food & 1:
                things.places[b, food] = cell


@lean_kernel
def interact(kitchen, rules, things, b, i, cell, code):
    """Agent `i` pushes against a cell that is neither floor nor agent; returns the event. Writes: things."""
    held = things.hands[b, i]
    if code == KNIFE_CODE:
        return use_knife(kitchen, rules, things, b, i, held, knife_at(kitchen, cell))
    if code == DELIVERY_CODE:
        return NO_EVENT if held == NOTHING else deliver(kitchen, rules, things, b, i, held)
    if code == COUNTER:
        if held != NOTHING:
            things.hands[b, i] = NOTHING
            things.cells[b, cell] = THING_CODES[held]
            place(things, b, held, cell)
        return NO_EVENT
    thing = thing_at(things, b, cell, code)
    if held == NOTHING:
        take(things, b, i, thing)
        things.cells[b, cell] = COUNTER
    elif thing >= FIRST_PLATE:
        if is_chopped(things, b, held):
            fill(things, b, thing, held)
            things.hands[b, i] = NOTHING
    elif held >= FIRST_PLATE and is_chopped(things, b, thing):
        fill(things, b, held, thing)
        things.cells[b, cell] = COUNTER
    return NO_EVENT


@lean_kernel
def use_knife(kitchen, rules, things, b, i, held, knife):
    """Agent `i` pushes against a knife; returns the event. Writes: things."""
    lying = things.boards[b, knife]
    if held == NOTHING:
        if lying == NOTHING:
            return NO_EVENT
        if lying >= FIRST_PLATE or things.cuts[b, lying] == CHOPPED:
            take(things, b, i, lying)
            things.boards[b, knife] = NOTHING
            return NO_EVENT
        things.cuts[b, lying] += 1
        if things.cuts[b, lying] == CHOPPED and rules.recipe >> lying & 1:
            return CHOP_EVENT
    elif lying == NOTHING:
        things.boards[b, knife] = held
        things.hands[b, i] = NOTHING
        place(things, b, held, kitchen.knives[knife])
    elif lying >= FIRST_PLATE:
        if is_chopped(things, b, held):
            things.boards[b, knife] = NOTHING
            fill(things, b, lying, held)
            take(things, b, i, lying)
    elif held >= FIRST_PLATE and is_chopped(things, b, lying):
        things.boards[b, knife] = NOTHING
        fill(things, b, held, lying)
    return NO_EVENT


@lean_kernel
def deliver(kitchen, rules, things, b, i, held):
    """Agent `i` hands over what it holds; anything but the dish goes home. Writes: things."""
    things.hands[b, i] = NOTHING
    if held >= FIRST_PLATE and things.plates[b, held - FIRST_PLATE] == rules.recipe:
        place(things, b, held, kitchen.delivery)
        return RIGHT_EVENT
    if held >= FIRST_PLATE:
        foods = things.plates[b, held - FIRST_PLATE]
        things.plates[b, held - FIRST_PLATE] = 0
        send_home(kitchen, things, b, held)
        for food in range(N_FOODS):
            if foods >> food & 1:
                send_home(kitchen, things, b, food)
    else:
        send_home(kitchen, things, b, held)
    return WRONG_EVENT


@lean_kernel
def send_home(kitchen, things, b, thing):
    """A thing lies at home again, uncut, on top of whatever is there. Writes: things."""
    home = kitchen.homes[thing]
    things.places[b, thing] = home
    things.cells[b, home] = THING_CODES[thing]
    if thing < N_FOODS:
        things.cuts[b, thing] = 0


@lean_kernel
def thing_at(things, b, cell, code):
    """The first thing of the kind that the map shows on `cell`."""
    for thing in range(N_THINGS):
        if THING_CODES[thing] == code and things.places[b, thing] == cell:
            return thing
    return NOTHING


@lean_kernel
def take(things, b, i, thing):
    """The thing comes into the hands of agent `i`. Writes: things."""
    things.hands[b, i] = thing
    place(things, b, thing, things.places[b, FIRST_AGENT + i])


@lean_kernel
def fill(things, b, plate, food):
    """The food goes into the plate. Writes: things."""
    things.plates[b, plate - FIRST_PLATE] |= 1 << food
    things.places[b, food] = things.places[b, plate]


@lean_kernel
def is_chopped(things, b, thing):
    """Whether it is a food with all its cuts."""
    return thing < N_FOODS and things.cuts[b, thing] == CHOPPED
