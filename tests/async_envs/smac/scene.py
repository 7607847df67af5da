"""Putting a battle as a test wants it, and playing it in SMAC's own action numbers. Points are (x, y)."""

import numpy as np

from async_envs.core.compile import lean_kernel
from async_envs.smac.asynchrony import ours_of
from async_envs.smac.constants import ATTACK, IDLE, LOOPS_PER_STEP, NO_ACTION, SHIELD_DELAY, STOP
from async_envs.smac.kernels import pass_loop, show_batch
from async_envs.smac.simulator import make
from async_envs.smac.types import unflatten

NORTH, SOUTH, EAST, WEST = 2, 3, 4, 5
OPEN = "episode_limit = 1000\nwalkable = [[0, 31, 0, 31]]\n"


@lean_kernel
def one_loop(*fields):
    """A game loop of the only episode."""
    battle, ground, _, _, streams = unflatten(fields)
    pass_loop(battle, ground, streams, 0)


def attack(k):
    """SMAC's number of `attack enemy k` (or `heal ally k`)."""
    return ATTACK + k


class Scene:
    """One episode with SMAC's sizes and numbers; all durations are 1 unless a test says otherwise."""

    def __init__(self, variant="3s5z", **options):
        options = {"smac_compat": True, "durations": "all_one"} | options
        self.sim = make(f"async:smac-{variant}", variant, 1, **options)
        self.sim.reset([0])
        self.world = self.sim.world
        self.units, self.roster, self.rules = self.world.units, self.world.roster, self.world.rules
        self.n, self.e = self.rules.n_agents, self.rules.n_enemies
        self.is_compatible = self.rules.is_compatible

    # --- setting up ---

    def put(self, u, x, y):
        """Unit u stands at the point."""
        self.units.x[0, u], self.units.y[0, u] = x, y
        return self.look()

    def away(self, *kept):
        """Every other unit is out of the battle, as if it had never been (its death is not paid)."""
        for u in range(self.n + self.e):
            if u not in kept:
                self.units.alive[0, u] = self.units.was_alive[0, u] = 0
                self.units.health[0, u] = self.units.shield[0, u] = 0.0
        return self.look()

    def pacify(self):
        """The enemy has no orders and does nothing."""
        self.units.order[0, self.n :] = IDLE
        return self

    def vitals(self, u, health=None, shield=None):
        """Health and shield, as if the unit had ended the last step so, just hurt."""
        self.units.health[0, u] = self.units.health[0, u] if health is None else health
        self.units.shield[0, u] = self.units.shield[0, u] if shield is None else shield
        self.units.before[0, u] = self.units.health[0, u] + self.units.shield[0, u]
        self.units.shield_wait[0, u] = SHIELD_DELAY
        return self.look()

    def look(self):
        """Observations, state and masks of the battle as it stands."""
        self.world.out.is_news[:] = True
        show_batch(*self.sim.fields)
        return self

    # --- playing ---

    def step(self, actions=None, **others):
        """One step; `actions` maps an agent to SMAC's number, everybody else stops (or continues)."""
        chosen = np.zeros((1, self.n), np.int64)
        for i in range(self.n):
            is_free = self.units.alive[0, i] == 1 and self.world.clocks.left[0, i] == 0
            action = (actions or {}).get(i, STOP if is_free else NO_ACTION)
            chosen[0, i] = action if self.is_compatible else self.ours(i, action)
        self.sim.step(chosen)
        return self

    def ours(self, i, action):
        """The family's number of SMAC's action of agent i."""
        return ours_of(action, bool(self.world.clocks.left[0, i] > 0))

    def loop(self):
        """One game loop by itself, under the orders as they are."""
        one_loop(*self.sim.fields)
        return self

    def loops(self, n=LOOPS_PER_STEP):
        for _ in range(n):
            self.loop()
        return self

    def order(self, u, order, target=-1):
        """Unit u is under an order of its own, whatever its side."""
        self.units.order[0, u], self.units.target[0, u] = order, target
        return self

    # --- looking ---

    def at(self, u):
        return float(self.units.x[0, u]), float(self.units.y[0, u])

    def apart(self, u, v):
        return float(np.hypot(*np.subtract(self.at(u), self.at(v))))

    def mask(self, i):
        return self.sim.avail_actions[0, i]

    def obs(self, i, name):
        return float(self.sim.obs[0, i, self.sim.obs_names.index(name)])

    def block(self, i, who):
        """The features of `enemy_2`, `ally_0` or `own` in agent i's observation."""
        places = [k for k, name in enumerate(self.sim.obs_names) if name.split(".")[0] == who]
        return self.sim.obs[0, i, places]

    def state(self, name):
        return float(self.sim.state[0, self.sim.state_names.index(name)])

    @property
    def reward(self):
        return float(self.sim.reward[0])


def field(path, allies, enemies, lines=OPEN):
    """Writes a map file; groups are (unit, x, y) or (unit, n, x, y). Returns its name."""
    text = lines
    text += "ally_types = [%s]\n" % ", ".join(repr(name) for name in dict.fromkeys(group[0] for group in allies))
    text += "enemy_types = [%s]\n" % ", ".join(repr(name) for name in dict.fromkeys(group[0] for group in enemies))
    for side, groups in (("ally", allies), ("enemy", enemies)):
        for unit, *n, x, y in groups:
            text += f'[[{side}]]\nunit = "{unit}"\nn = {n[0] if n else 1}\nat = [{x}, {y}]\n'
    path.write_text(text)
    return str(path)


def battle(folder, allies, enemies, lines=OPEN, **options):
    """A scene on a map of the test's own; nobody regenerates and the enemy does nothing."""
    scene = Scene("3m", map_file=field(folder / "map.toml", allies, enemies, lines), **options)
    scene.roster.regeneration[:] = 0
    return scene.pacify()
