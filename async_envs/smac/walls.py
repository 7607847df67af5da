# mypy: disallow-untyped-defs=False
"""What the ground does to those who walk on it: walls stop them, paths lead round walls."""

from async_envs.core.compile import lean_kernel
from async_envs.smac import fields as f
from async_envs.smac.constants import GROUND, N_DIRECTIONS, STEP_X, STEP_Y


@lean_kernel
def shift(battle, ground, b, u, x, y):
    """Unit u moves to the point as far as the ground lets it, along each axis by itself. Writes: x, y.

    One that was placed too near a wall may go wherever its centre may.
    """
    real, inner = battle.real, battle.stats[f.INNER, u]
    if battle.traits[f.LAYER, u] != GROUND:
        height, width = ground.walkable.shape
        real[f.X, b, u] = min(max(x, inner), width - inner)
        real[f.Y, b, u] = min(max(y, inner), height - inner)
        return
    for axis in range(2):
        here_x, here_y = real[f.X, b, u], real[f.Y, b, u]
        there_x = x if axis == 0 else here_x
        there_y = here_y if axis == 0 else y
        is_free = may_stand(ground, there_x, there_y, inner)
        if not is_free:
            is_free = is_walkable(ground, there_x, there_y) and not may_stand(ground, here_x, here_y, inner)
        if is_free:
            real[f.X, b, u] = there_x
            real[f.Y, b, u] = there_y


@lean_kernel
def may_stand(ground, x, y, inner):
    """Whether a unit's inner circle lies on walkable cells at the point (looked at in its four outermost points)."""
    for k in range(N_DIRECTIONS):
        if not is_walkable(ground, x + inner * STEP_X[k], y + inner * STEP_Y[k]):
            return False
    return True


@lean_kernel
def is_walkable(ground, x, y):
    """Whether the point lies on a walkable cell of the map; the far edges of the map belong to it."""
    height, width = ground.walkable.shape
    if x < 0.0 or y < 0.0 or x > width or y > height:
        return False
    return ground.walkable[min(int(y), height - 1), min(int(x), width - 1)] == 1


@lean_kernel
def needs_path(battle, ground, b, u, x, y):
    """Whether the straight line to the point leaves the walkable ground. False on convex maps."""
    traits, real = battle.traits, battle.real
    if ground.is_clear.shape[0] == 1 or traits[f.LAYER, u] != GROUND:
        return False
    here, there = cell_of(ground, real[f.X, b, u], real[f.Y, b, u]), cell_of(ground, x, y)
    return ground.is_clear[here, there] == 0


@lean_kernel
def way_to(battle, ground, b, u, x, y):
    """The middle of the next cell on the way to the point (here, if there is no way)."""
    real = battle.real
    here, there = cell_of(ground, real[f.X, b, u], real[f.Y, b, u]), cell_of(ground, x, y)
    cell = ground.next_cell[here, there]
    width = ground.walkable.shape[1]
    if cell == here:
        return real[f.X, b, u], real[f.Y, b, u]
    return cell % width + 0.5, cell // width + 0.5


@lean_kernel
def cell_of(ground, x, y):
    """Number of the cell that holds a point of the map, the far edges included."""
    height, width = ground.walkable.shape
    return min(int(y), height - 1) * width + min(int(x), width - 1)
