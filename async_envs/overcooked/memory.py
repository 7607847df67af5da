# mypy: disallow-untyped-defs=False
"""What each agent remembers of where things and agents are, and what it believes to be on a cell."""

from async_envs.core.compile import lean_kernel
from async_envs.overcooked.constants import (
    AGENT,
    DELIVERY_CODE,
    FADED,
    FIRST_AGENT,
    KNIFE_CODE,
    N_FOODS,
    N_THINGS,
    THING_CODES,
)


@lean_kernel
def know_all(things, memory, b):
    """Every agent of episode `b` is told everything, as at the start. Writes: memory."""
    for i in range(memory.places.shape[1]):
        for e in range(memory.places.shape[2]):
            memory.places[b, i, e] = things.places[b, e]
        for food in range(N_FOODS):
            memory.cuts[b, i, food] = things.cuts[b, food]
            memory.unseen[b, i, food] = 0


@lean_kernel
def remember(kitchen, things, memory, b, i):
    """Agent `i` looks around: what it sees it knows, what should be in view and is not is thought at home.

    Writes: memory.
    """
    places, true_places = memory.places[b, i], things.places[b]
    sees = kitchen.in_view[true_places[FIRST_AGENT + i]]
    for e in range(true_places.shape[0]):  # everything is read first, so that no branch is needed
        place, remembered, home = true_places[e], places[e], kitchen.homes[e]
        is_seen, is_missed = sees[place], sees[remembered]
        places[e] = place if is_seen else (home if is_missed else remembered)
    for food in range(N_FOODS):
        is_seen = sees[true_places[food]]
        cuts, seen_cuts = things.cuts[b, food], memory.cuts[b, i, food]
        unseen = min(memory.unseen[b, i, food] + 1, FADED)
        memory.cuts[b, i, food] = cuts if is_seen else seen_cuts
        memory.unseen[b, i, food] = 0 if is_seen else unseen


@lean_kernel
def believes_agent(memory, b, i, cell):
    """Whether agent `i` believes an agent, itself included, to be on `cell`."""
    is_there = False
    for e in range(FIRST_AGENT, memory.places.shape[2]):
        is_there |= memory.places[b, i, e] == cell
    return is_there


@lean_kernel
def believed_code(kitchen, memory, b, i, cell):
    """Code of `cell` on the map that agent `i` believes in: agents hide fixtures, these things, the later the
    earlier.
    """
    if believes_agent(memory, b, i, cell):
        return AGENT
    bare = kitchen.bare[cell]
    if bare == KNIFE_CODE or bare == DELIVERY_CODE:
        return bare
    for thing in range(N_THINGS - 1, -1, -1):
        if memory.places[b, i, thing] == cell:
            return THING_CODES[thing]
    return bare
