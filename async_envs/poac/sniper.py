"""Where the scripted sniper gathers, walks and fires: it knows the map and how the scenario's bot chooses
its posts.
"""

from heapq import heappop, heappush

import numpy as np

from async_envs.poac.constants import BLUE, CHARIOT, CHARIOT_BEHIND, KAI2, N_AGENTS, OFF_MAP, RED
from async_envs.poac.types import Board

_Weights = dict[int, float]  # cell -> expected number of Blue's units there

SHOT_AT_FROM = 7  # cells; tank and chariot shoot as far at what they see
SEEN_HIDDEN_FROM = 5  # cells from which tank and chariot see an enemy in hidden terrain
SAFE_FROM = 9  # cells to every likely post where the sniper gathers
_COST_OF_CELL = 0.01  # so that of two safe ways the shorter is taken
_COST_OF_EXPOSURE = 3.0  # tenths of a shot or so for each enemy in whose range a step of the way lies
_COST_OF_DEFENDER = 2.0  # a second enemy in sight of the firing cell
_COST_OF_NO_TARGET = 100.0


def plan(board: Board, bot: int) -> tuple[int, int, np.ndarray]:
    """The sniper's plan against a bot that holds posts.

    Returns:
        (gathering cell, firing cell, [M] int32 next cell on the way from each cell to the firing cell).
        The firing cell is a hidden one that sees about one likely post and that the others do not see.
    """
    targets, others = likely_posts(board, bot)
    posts = {cell: targets.get(cell, 0.0) + others.get(cell, 0.0) for cell in targets | others}
    inside = [int(cell) for cell in np.flatnonzero((board.neighbours != OFF_MAP).any(1))]
    danger = {cell: _weight_within(board, cell, posts, _seen_from(board, cell)) for cell in inside}
    gather_near = int(board.starts[RED, 1, CHARIOT])

    def cost(cell: int) -> float:
        aimed = _weight_within(board, cell, targets, SEEN_HIDDEN_FROM)
        return (
            _COST_OF_NO_TARGET * max(0.0, 1.0 - aimed)
            + _COST_OF_DEFENDER * (danger[cell] - aimed + max(0.0, aimed - 1.0))
            + way[cell]
        )

    way, _ = _ways(board, danger, gather_near)
    hidden = [int(cell) for cell in board.hidden_cells]
    fire = min(hidden, key=cost, default=int(board.centre_cells[0]))
    _, next_cell = _ways(board, danger, fire)
    gather = gather_near
    while (
        gather != fire
        and min((_between(board, int(next_cell[gather]), post) for post in posts), default=0) >= SAFE_FROM
    ):
        gather = int(next_cell[gather])
    return gather, fire, next_cell


def _seen_from(board: Board, cell: int) -> int:
    return SEEN_HIDDEN_FROM if board.hidden[cell] else SHOT_AT_FROM


def _weight_within(board: Board, cell: int, posts: _Weights, cells_away: int) -> float:
    return sum(weight for post, weight in posts.items() if _between(board, cell, post) <= cells_away)


def _ways(board: Board, danger: _Weights, goal: int) -> tuple[_Weights, np.ndarray]:
    """Cost of the safest way to `goal` from each cell, and its next cell (Dijkstra)."""
    cost = {goal: 0.0}
    next_cell = np.full(len(board.hidden), goal, np.int32)
    queue = [(0.0, goal)]
    while queue:
        so_far, cell = heappop(queue)
        if so_far > cost[cell]:
            continue
        for there in (int(n) for n in board.neighbours[cell] if n != OFF_MAP):
            new = so_far + _COST_OF_CELL + _COST_OF_EXPOSURE * danger[there]
            if new < cost.get(there, np.inf):
                cost[there] = new
                next_cell[there] = cell
                heappush(queue, (new, there))
    return cost, next_cell


def likely_posts(board: Board, bot: int) -> tuple[_Weights, _Weights]:
    """(posts to fire at, posts to stay out of sight of) -> expected number of Blue's units there."""
    own, enemy = board.starts[BLUE, 1, CHARIOT], board.starts[RED, 1, CHARIOT]
    hidden = [int(c) for c in board.hidden_cells if _between(board, c, own) < _between(board, c, enemy)]
    if bot != KAI2:
        return _nearest_to_centre(board, hidden, N_AGENTS), {}
    infantry = _nearest_to_centre(board, hidden, 1)
    low, high = CHARIOT_BEHIND
    fire: _Weights = {}
    for post, weight in infantry.items():
        behind = [c for c in hidden if board.centre_distance[c] > board.centre_distance[post]]
        miss = {c: max(low - _between(board, c, post), _between(board, c, post) - high, 0) for c in behind}
        best = [c for c in behind if miss[c] == min(miss.values())]
        for c in best:
            fire[c] = fire.get(c, 0.0) + 2 * weight / len(best)
    return infantry, fire


def _nearest_to_centre(board: Board, hidden: list[int], n_posts: int) -> _Weights:
    weights: _Weights = {}
    left = n_posts
    for cells_away in sorted({int(board.centre_distance[c]) for c in hidden}):
        ring = [c for c in hidden if board.centre_distance[c] == cells_away]
        for c in ring:
            weights[c] = min(1.0, left / len(ring))
        left -= len(ring)
        if left <= 0:
            break
    return weights


def _between(board: Board, a: int, b: int) -> int:
    q, r = int(board.axial_q[a]) - int(board.axial_q[b]), int(board.axial_r[a]) - int(board.axial_r[b])
    return max(abs(q), abs(r), abs(q + r))
