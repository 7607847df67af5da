# mypy: disallow-untyped-defs=False
"""Where to go first: best-first search on what an agent believes, with the original's order among equals.

The frontier is a binary heap laid out and mended as Python's `heapq` does it, with one difference: of two
equal elements each counts as less than the other. Which of several shortest routes is found depends on it.
"""

from async_envs.core.compile import kernel, lean_kernel
from async_envs.overcooked.constants import DOWN, FIRST_AGENT, FLOOR, LEFT, N_THINGS, NO_CELL, RIGHT, STAY, UP
from async_envs.overcooked.types import Kitchen

# An element of the heap: 2 f + p (f steps from start to target through the cell, p = 1 where an agent is
# believed), then 8 bits each of steps so far, cell, and first move. Only the first part orders.
_ORDER, _STEPS, _CELL, _BYTE = 24, 16, 8, 255

UNKNOWN = 0  # among the kept answers; the others are a primitive action + 1
MOST_ANSWERS = 1 << 24  # bytes for them; the 9 x 9 maps need 4 million


@lean_kernel
def rise(heap, slot, element):
    """Place `element` in the hole at `slot` and let it rise, above its equals too. Writes: heap[: slot + 1]."""
    while slot > 0:
        parent = (slot - 1) >> 1
        if (element >> _ORDER) > (heap[parent] >> _ORDER):
            break
        heap[slot] = heap[parent]
        slot = parent
    heap[slot] = element


@lean_kernel
def pop(heap, size):
    """The top of a heap of `size` elements, taken out. Writes: heap[: size - 1]."""
    top = heap[0]
    size -= 1
    if size > 0:
        slot, child = 0, 1
        while child < size:
            if child + 1 < size and (heap[child] >> _ORDER) > (heap[child + 1] >> _ORDER):
                child += 1
            heap[slot] = heap[child]
            slot = child
            child = 2 * slot + 1
        rise(heap, slot, heap[size])
    return top


@lean_kernel
def first_move(kitchen, memory, search, b, i, me, target):
    """First primitive action of agent `i` on its way from `me` to the cell `target`, STAY if there is no way.

    Floor cells are walkable unless a thing and no agent is believed there; cells of agents count as free.
    Answers are kept: unless a thing is believed on the floor, which is rare, they depend on the cells of the
    target and the agents alone. Writes: search.
    """
    other, another = others_cells(memory, b, i)
    is_plain = kitchen.target_number[target] != NO_CELL and search.answers.shape[0] > 0
    for thing in range(N_THINGS):
        cell = memory.places[b, i, thing]
        is_under_agent = (cell == me) | (cell == other) | (cell == another)
        is_plain &= (kitchen.bare[cell] != FLOOR) | is_under_agent  # no branches: they are hard to foresee
    if not is_plain:
        return find_way(kitchen, memory, search, b, i, me, target, other, another)
    first, second = min(other, another), max(other, another)
    nobody = search.answers.shape[2] - 1
    number = kitchen.floor_number
    row = search.answers[kitchen.target_number[target], number[me], nobody if first == NO_CELL else number[first]]
    answer = row[number[second]]
    if answer == UNKNOWN:
        answer = find_way(kitchen, memory, search, b, i, me, target, other, another) + 1
        row[number[second]] = answer
    return answer - 1


@lean_kernel
def find_way(kitchen, memory, search, b, i, me, target, other, another):
    """The search itself, outside the answers that are kept. Writes: search."""
    floor = kitchen.bare, kitchen.neighbours, kitchen.row, kitchen.column
    scratch = search.heap, search.marks, search.n_searches
    return search_way(*floor, *scratch, memory.places[b, i], me, target, other, another)


@kernel
def search_way(bare, neighbours, rows, columns, heap, marks, n_searches, believed, me, target, other, another):
    """Best-first search from `me` to `target`; see `first_move`. Writes: heap, marks, n_searches."""
    n_searches[0] += 1
    mark = n_searches[0]
    for thing in range(N_THINGS):
        cell = believed[thing]
        if cell != target and cell != other and cell != another:
            marks[cell] = mark
    marks[me] = mark
    row, column = rows[target], columns[target]

    heap[0] = int(me) << _CELL | STAY
    size = 1
    while size > 0:
        top = pop(heap, size)
        size -= 1
        here = (top >> _CELL) & _BYTE
        steps = ((top >> _STEPS) & _BYTE) + 1
        for move in (RIGHT, LEFT, DOWN, UP):
            cell = int(neighbours[here, move])
            if marks[cell] == mark and cell != target:
                continue
            first = top & _BYTE
            if first == STAY:
                first = move
            if cell == target:
                return first
            if bare[cell] == FLOOR:
                marks[cell] = mark
                expected = steps + abs(rows[cell] - row) + abs(columns[cell] - column)
                order = 2 * expected + (cell == other or cell == another)
                rise(heap, size, order << _ORDER | steps << _STEPS | cell << _CELL | first)
                size += 1
    return STAY


def answers_shape(kitchen: Kitchen) -> tuple[int, int, int, int]:
    """Room for the kept answers: [target, own cell, lower other cell, upper other cell].

    The third has an entry more, for nobody. Where it would be too much there is none.
    """
    n_targets = int(kitchen.target_number.max()) + 1
    n_floor = int(kitchen.floor_number.max()) + 1
    shape = (n_targets, n_floor, n_floor + 1, n_floor)
    return shape if n_targets * n_floor * (n_floor + 1) * n_floor <= MOST_ANSWERS else (0, 0, 1, 0)


@lean_kernel
def others_cells(memory, b, i):
    """Where agent `i` believes the one or two other agents; NO_CELL for a third that does not exist."""
    n_agents = memory.places.shape[1]
    other = memory.places[b, i, FIRST_AGENT + (1 if i == 0 else 0)]
    another = NO_CELL
    if n_agents > 2:
        another = memory.places[b, i, FIRST_AGENT + (1 if i == 2 else 2)]
    return other, another
