# mypy: disallow-untyped-defs=False
"""The built-in opponents KAI0, KAI1 and KAI2. They see, choose and wait under the agents' own rules.

A side shares what any of its units sees. Every choice among equals is one draw from the episode's stream
(`pick`), made only where there are several; nothing depends on the order of cells or directions.
"""

from async_envs.core.seeding import next_below
from async_envs.core.simulator import CONTINUE, NOOP
from async_envs.poac.constants import (
    ATTACK,
    BLIND_STEPS_BEFORE_CHANGE,
    CHARIOT,
    CHARIOT_BEHIND,
    GUIDED_ATTACK,
    INFANTRY,
    IN_REACH,
    KAI0,
    KAI1,
    KAI2,
    MOVE,
    N_AGENTS,
    N_DIRECTIONS,
    N_ENEMIES,
    OFF_MAP,
    OUT_OF_REACH,
    SHOTS_WEIGHT,
    STOP,
    TANK,
    TANK_LEASH,
)
from async_envs.core.compile import lean_kernel
from async_envs.poac.sight import cells_between

TO_CENTRE, TO_START, BACK_TO_CENTRE = (
    0,
    1,
    2,
)  # waypoints of KAI0; the first only until the centre was reached once
NEVER_LOOKED = -1  # Memory.blind before the first step
NOBODY = -1
_NONE_YET = 1 << 60  # above every score


@lean_kernel
def forget(units, memory, side, b):
    """A side begins an episode. Writes: memory."""
    memory.start[b, side] = units.cell[b, side * N_AGENTS + CHARIOT]
    memory.blind[b, side] = NEVER_LOOKED
    for u in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        memory.post[b, u] = units.cell[b, u]
        memory.alarm[b, u] = 0
        memory.waypoint[b, u] = TO_CENTRE


@lean_kernel
def command(board, rules, units, sight, memory, streams, orders, kind, side, b):
    """The orders of a side that is played by bot `kind`. Writes: orders, memory, streams[b]."""
    if memory.blind[b, side] == NEVER_LOOKED and kind != KAI0:
        take_posts(board, memory, units, streams, kind, side, b)
    notice(units, sight, memory, side, b)
    if kind == KAI1:
        change_posts(board, units, memory, streams, side, b)
    if rules.patience > 0 and memory.blind[b, side] >= rules.patience:
        kind = KAI0
    for u in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        if units.blood[b, u] == 0:
            orders[b, u] = NOOP
        elif units.busy[b, u] > 0:
            orders[b, u] = CONTINUE
        else:
            orders[b, u] = decide(board, units, sight, memory, streams, kind, b, u)


@lean_kernel
def notice(units, sight, memory, side, b):
    """Count the situations without sight, for the side and since a hit. Writes: memory.blind,
    memory.alarm.
    """
    was_blind = memory.blind[b, side] > 0
    sees = sees_anybody(sight, side, b)
    if sees:
        memory.blind[b, side] = 0
    else:
        memory.blind[b, side] = max(memory.blind[b, side], 0) + 1
    for u in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        if sees:
            memory.alarm[b, u] = 0
        elif memory.alarm[b, u] > 0 or (was_blind and units.wound[b, u] > 0):
            memory.alarm[b, u] += 1


@lean_kernel
def sees_anybody(sight, side, b):
    """Whether any unit of the side sees an enemy."""
    for u in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        for enemy in range(N_ENEMIES):
            if sight.sees[b, u, enemy]:
                return True
    return False


@lean_kernel
def is_seen_by_side(sight, side, b, enemy):
    """Whether any unit of the side sees this enemy."""
    for u in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        if sight.sees[b, u, enemy]:
            return True
    return False


@lean_kernel
def decide(board, units, sight, memory, streams, kind, b, u):
    """The action of a living unit that is not moving. Writes: memory.waypoint[b, u], streams[b]."""
    has_target = False
    for enemy in range(N_ENEMIES):
        has_target |= sight.reach[b, u, enemy] != OUT_OF_REACH
    if has_target:
        if units.cooldown[b, u] > 0 or units.preparation[b, u] > 0:
            return STOP
        enemy = choose_target(units, sight, streams, b, u)
        return (ATTACK if sight.reach[b, u, enemy] == IN_REACH else GUIDED_ATTACK) + enemy
    if kind == KAI0:
        goal = hunting_goal(board, units, sight, memory, streams, b, u)
    elif kind == KAI2 and u % N_AGENTS == TANK:
        goal = leashed_goal(board, units, sight, memory, streams, b, u)
    else:
        goal = memory.post[b, u]
    return step_towards(board, units, streams, goal, b, u)


@lean_kernel
def choose_target(units, sight, streams, b, u):
    """The enemy in reach that u alone expects to kill soonest, then the nearest. Writes: streams[b]."""
    first_enemy = (1 - u // N_AGENTS) * N_AGENTS
    best, n_best = _NONE_YET, 0
    for enemy in range(N_ENEMIES):
        score = target_score(units, sight, b, u, enemy, first_enemy)
        if score < best:
            best, n_best = score, 1
        elif score == best:
            n_best += 1
    skip = next_below(streams, b, n_best) if n_best > 1 else 0
    for enemy in range(N_ENEMIES):
        if target_score(units, sight, b, u, enemy, first_enemy) == best:
            if skip == 0:
                return enemy
            skip -= 1
    return NOBODY


@lean_kernel
def target_score(units, sight, b, u, enemy, first_enemy):
    """Smaller is better: expected shots first, then distance (below 256); whole numbers, so that equals are
    equal.
    """
    if sight.reach[b, u, enemy] == OUT_OF_REACH:
        return _NONE_YET + 1
    shots = units.blood[b, first_enemy + enemy] * SHOTS_WEIGHT[u, enemy]
    return shots * 256 + sight.distance[b, u, enemy]


@lean_kernel
def hunting_goal(board, units, sight, memory, streams, b, u):
    """KAI0: the centre once, then the nearest enemy in sight, else to and fro. Writes: memory.waypoint,
    streams[b].
    """
    side = u // N_AGENTS
    cell = units.cell[b, u]
    is_at_centre = board.centre_distance[cell] == 0
    if memory.waypoint[b, u] == TO_CENTRE and is_at_centre:
        memory.waypoint[b, u] = TO_START
    if memory.waypoint[b, u] != TO_CENTRE:
        enemy = nearest_enemy(board, units, sight, streams, b, u, cell, NOBODY)
        if enemy != NOBODY:
            return units.cell[b, (1 - side) * N_AGENTS + enemy]
        if memory.waypoint[b, u] == TO_START and cell == memory.start[b, 1 - side]:
            memory.waypoint[b, u] = BACK_TO_CENTRE
        elif memory.waypoint[b, u] == BACK_TO_CENTRE and is_at_centre:
            memory.waypoint[b, u] = TO_START
        if memory.waypoint[b, u] == TO_START:
            return memory.start[b, 1 - side]
    return nearest_centre(board, streams, b, cell)


@lean_kernel
def nearest_centre(board, streams, b, cell):
    """The centre cell nearest to `cell`. Writes: streams[b]."""
    if board.centre_cells.shape[0] == 1:
        return board.centre_cells[0]
    to_first = cells_between(board, cell, board.centre_cells[0])
    to_second = cells_between(board, cell, board.centre_cells[1])
    if to_first == to_second:
        return board.centre_cells[next_below(streams, b, 2)]
    return board.centre_cells[0] if to_first < to_second else board.centre_cells[1]


@lean_kernel
def nearest_enemy(board, units, sight, streams, b, u, post, leash):
    """The enemy nearest to `u` among those that its side sees, no more than `leash` cells from `post`.

    A leash of NOBODY (-1) is none. Returns NOBODY if there is no such enemy. Writes: streams[b].
    """
    side = u // N_AGENTS
    best, n_best = _NONE_YET, 0
    for enemy in range(N_ENEMIES):
        if is_prey(board, units, sight, b, side, enemy, post, leash):
            if sight.distance[b, u, enemy] < best:
                best, n_best = sight.distance[b, u, enemy], 1
            elif sight.distance[b, u, enemy] == best:
                n_best += 1
    skip = next_below(streams, b, n_best) if n_best > 1 else 0
    for enemy in range(N_ENEMIES):
        if sight.distance[b, u, enemy] == best and is_prey(board, units, sight, b, side, enemy, post, leash):
            if skip == 0:
                return enemy
            skip -= 1
    return NOBODY


@lean_kernel
def is_prey(board, units, sight, b, side, enemy, post, leash):
    """Whether the side sees this enemy and it stands within the leash."""
    if not is_seen_by_side(sight, side, b, enemy):
        return False
    return leash < 0 or cells_between(board, post, units.cell[b, (1 - side) * N_AGENTS + enemy]) <= leash


@lean_kernel
def leashed_goal(board, units, sight, memory, streams, b, u):
    """KAI2's tank: the nearest enemy in sight that is near its post, else the post. Writes: streams[b]."""
    post = memory.post[b, u]
    enemy = nearest_enemy(board, units, sight, streams, b, u, post, TANK_LEASH)
    if enemy == NOBODY:
        return post
    return units.cell[b, (1 - u // N_AGENTS) * N_AGENTS + enemy]


@lean_kernel
def step_towards(board, units, streams, goal, b, u):
    """The move that leads nearest to the goal, or stop on it. Writes: streams[b]."""
    cell = units.cell[b, u]
    if cell == goal:
        return STOP
    wanted = cells_between(board, cell, goal) - 1
    n_best = 0
    for direction in range(N_DIRECTIONS):
        there = board.neighbours[cell, direction]
        n_best += there != OFF_MAP and cells_between(board, there, goal) == wanted
    skip = next_below(streams, b, n_best) if n_best > 1 else 0
    for direction in range(N_DIRECTIONS):
        there = board.neighbours[cell, direction]
        if there != OFF_MAP and cells_between(board, there, goal) == wanted:
            if skip == 0:
                return MOVE + direction
            skip -= 1
    return STOP


@lean_kernel
def take_posts(board, memory, units, streams, kind, side, b):
    """Where KAI1's and KAI2's units will hide, chosen in unit order. Writes: memory.post, streams[b]."""
    first = side * N_AGENTS
    for u in range(first, first + N_AGENTS):
        if kind == KAI1 or u % N_AGENTS == INFANTRY:
            memory.post[b, u] = ambush_post(board, units, memory, streams, b, u)
        elif u % N_AGENTS == CHARIOT:
            memory.post[b, u] = guided_fire_post(board, units, memory, streams, b, u)
        else:
            memory.post[b, u] = memory.post[b, first + CHARIOT]


@lean_kernel
def change_posts(board, units, memory, streams, side, b):
    """KAI1: who was hit by somebody unseen and has seen nobody since goes elsewhere. Writes: memory,
    streams[b].
    """
    for u in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        if units.blood[b, u] > 0 and memory.alarm[b, u] >= BLIND_STEPS_BEFORE_CHANGE:
            memory.alarm[b, u] = 0
            memory.post[b, u] = ambush_post(board, units, memory, streams, b, u)


@lean_kernel
def ambush_post(board, units, memory, streams, b, u):
    """The free hidden cell of its own side nearest to the centre, or the present post. Writes: streams[b]."""
    best, n_best = _NONE_YET, 0
    for cell in board.hidden_cells:
        if is_free(board, units, memory, b, u, cell):
            if board.centre_distance[cell] < best:
                best, n_best = board.centre_distance[cell], 1
            elif board.centre_distance[cell] == best:
                n_best += 1
    skip = next_below(streams, b, n_best) if n_best > 1 else 0
    for cell in board.hidden_cells:
        if board.centre_distance[cell] == best and is_free(board, units, memory, b, u, cell):
            if skip == 0:
                return cell
            skip -= 1
    return memory.post[b, u]


@lean_kernel
def guided_fire_post(board, units, memory, streams, b, u):
    """The free hidden cell of its own side some cells behind the infantry's post. Writes: streams[b]."""
    infantry_post = memory.post[b, u - u % N_AGENTS + INFANTRY]
    best, n_best = _NONE_YET, 0
    for cell in board.hidden_cells:
        miss = miss_of_guided_fire_post(board, units, memory, b, u, cell, infantry_post)
        if miss < best:
            best, n_best = miss, 1
        elif miss == best:
            n_best += 1
    skip = next_below(streams, b, n_best) if n_best > 1 else 0
    for cell in board.hidden_cells:
        if miss_of_guided_fire_post(board, units, memory, b, u, cell, infantry_post) == best:
            if skip == 0:
                return cell
            skip -= 1
    return memory.post[b, u]


@lean_kernel
def miss_of_guided_fire_post(board, units, memory, b, u, cell, infantry_post):
    """By how many cells a post is too near to or too far from the infantry's; not behind it or not free:
    _NONE_YET.
    """
    is_behind = board.centre_distance[cell] > board.centre_distance[infantry_post]
    if not is_behind or not is_free(board, units, memory, b, u, cell):
        return _NONE_YET + 1
    cells = cells_between(board, cell, infantry_post)
    return max(CHARIOT_BEHIND[0] - cells, cells - CHARIOT_BEHIND[1], 0)


@lean_kernel
def is_free(board, units, memory, b, u, cell):
    """Whether a cell lies on u's own side and is no post of a living unit of it, u's own included."""
    side = u // N_AGENTS
    to_own = cells_between(board, cell, memory.start[b, side])
    if to_own >= cells_between(board, cell, memory.start[b, 1 - side]):
        return False
    for other in range(side * N_AGENTS, side * N_AGENTS + N_AGENTS):
        if units.blood[b, other] > 0 and memory.post[b, other] == cell:
            return False
    return True
