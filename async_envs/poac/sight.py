# mypy: disallow-untyped-defs=False
"""Who sees and who can shoot at whom: what follows from where the units stand, found once per step."""

from async_envs.poac.constants import (
    ATTACKED_DISTANCE,
    CAN_GUIDE,
    FAR,
    HIDDEN_OBSERVED_DISTANCE,
    IN_GUIDED_REACH,
    IN_REACH,
    N_AGENTS,
    N_ENEMIES,
    OBSERVED_DISTANCE,
    OUT_OF_REACH,
)
from async_envs.core.compile import lean_kernel


@lean_kernel
def cells_between(board, a, b):
    """Cube distance between two cells."""
    q = board.axial_q[a] - board.axial_q[b]
    r = board.axial_r[a] - board.axial_r[b]
    return max(abs(q), abs(r), abs(q + r))


@lean_kernel
def look(board, units, sight, b):
    """Distances, and which enemy each unit sees with its own eyes. Writes: sight.distance, sight.sees."""
    for red in range(N_AGENTS):
        for enemy in range(N_ENEMIES):
            blue = N_AGENTS + enemy
            cells = FAR
            if units.blood[b, red] > 0 and units.blood[b, blue] > 0:
                cells = cells_between(board, units.cell[b, red], units.cell[b, blue])
            sight.distance[b, red, enemy] = cells
            sight.distance[b, blue, red] = cells
            sight.sees[b, red, enemy] = cells <= sight_range(board, red, units.cell[b, blue])
            sight.sees[b, blue, red] = cells <= sight_range(board, blue, units.cell[b, red])


@lean_kernel
def sight_range(board, u, cell):
    """Cells from which unit `u` sees an enemy that stands in `cell`."""
    return HIDDEN_OBSERVED_DISTANCE[u] if board.hidden[cell] else OBSERVED_DISTANCE[u]


@lean_kernel
def reach_out(rules, sight, b):
    """At whom each unit could shoot if its timers allowed. Writes: sight.reach."""
    for u in range(2 * N_AGENTS):
        for enemy in range(N_ENEMIES):
            cells = sight.distance[b, u, enemy]
            if sight.sees[b, u, enemy] and cells <= ATTACKED_DISTANCE[u]:
                sight.reach[b, u, enemy] = IN_REACH
            elif cells <= rules.guided_distance[u] and is_spotted_for(sight, b, u, enemy):
                sight.reach[b, u, enemy] = IN_GUIDED_REACH
            else:
                sight.reach[b, u, enemy] = OUT_OF_REACH


@lean_kernel
def is_spotted_for(sight, b, u, enemy):
    """Whether another living unit of u's side that can guide sees the enemy."""
    first = u - u % N_AGENTS
    for other in range(first, first + N_AGENTS):
        if other != u and CAN_GUIDE[other] and sight.sees[b, other, enemy]:
            return True
    return False
