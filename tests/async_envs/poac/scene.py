"""Putting the units of one episode where a test wants them."""

import numpy as np

from async_envs.poac import kernels
from async_envs.poac.constants import NO_DIRECTION
from async_envs.poac.simulator import make
from tests.async_envs.poac.naive import Stream

NEVER = 99  # a timer that keeps a unit from shooting through a test


class Scene:
    """One episode whose units can be placed, and played by the actions' names."""

    def __init__(self, scenario, **options):
        self.sim = make(f"async:poac-{scenario}", scenario, batch_size=1, **options)
        self.sim.reset([0])
        self.units = self.sim.world.units
        self.columns = self.sim.scenario.columns

    def place(self, **cells):
        """`red_tank=(row, column)` and so on; units that are not named are dead. Everybody prepared, Blue
        disarmed.
        """
        names = ["red_infantry", "red_chariot", "red_tank", "blue_infantry", "blue_chariot", "blue_tank"]
        assert set(cells) <= set(names)
        for u, name in enumerate(names):
            if name in cells:
                self.units.cell[0, u] = cells[name][0] * self.columns + cells[name][1]
                self.units.cooldown[0, u] = 0 if u < 3 else NEVER
                self.sim.world.memory.post[0, u] = self.units.cell[0, u]
            else:
                self.units.blood[0, u] = 0
            self.units.direction[0, u] = NO_DIRECTION
        self.sim.world.memory.blind[0] = 0  # no bot takes another post
        return self.show()

    def show(self):
        """Sight, masks and observations of what was placed."""
        world = self.sim.world
        kernels.show(world.board, world.rules, world.units, world.sight, world.out, 0)
        return self

    def draws(self, *shares):
        """The next draws from 0 … 9 are these."""
        state = next(s for s in range(10**6) if tuple(map(Stream(s).below, [10] * len(shares))) == shares)
        self.sim.world.streams[0] = state
        return self

    def step(self, *names):
        """One step; agents that are not named do the first thing that they may."""
        actions = self.sim.avail_actions[0].argmax(-1)
        for agent, name in enumerate(names):
            if name:
                actions[agent] = self.sim.action_names.index(name)
        self.sim.step(actions[None])
        return self

    def available(self, agent):
        """Names of what the agent may do."""
        return {self.sim.action_names[a] for a in np.flatnonzero(self.sim.avail_actions[0, agent])}

    def shots(self, agent):
        """Those of them that are shots."""
        return {name for name in self.available(agent) if "attack" in name}

    def cell(self, u):
        """(row, column) of unit u."""
        return divmod(int(self.units.cell[0, u]), self.columns)

    def obs(self, agent, name):
        """One feature."""
        return float(self.sim.obs[0, agent, self.sim.obs_names.index(name)])
