"""Putting one kitchen as a test wants it, and playing it by the actions' names. Cells are (row, column)."""

import numpy as np

from async_envs.core.simulator import CONTINUE, FIRST_ACTION
from async_envs.overcooked.constants import (
    AGENT,
    CHOPPED,
    COUNTER,
    FIRST_AGENT,
    FIRST_PLATE,
    FLOOR,
    NOTHING,
    PRIMITIVE_NAMES,
    THING_CODES,
    THING_NAMES,
)
from async_envs.overcooked.simulator import make


class Scene:
    """One episode; `layout` lines are the test's own kitchen."""

    def __init__(self, variant="A", **options):
        self.sim = make(f"async:overcooked-{variant}", variant, 1, **options)
        self.sim.reset([0])
        self.things, self.memory, self.plans = self.sim.world[2:5]
        self.kitchen = self.sim.world.kitchen
        self.columns = int(self.kitchen.column.max()) + 1

    # --- setting up; `known` makes everybody know it ---

    def number(self, cell):
        return cell[0] * self.columns + cell[1]

    def agent(self, i, cell, holds=None):
        """Agent i (from 1) stands on the cell, perhaps with something in its hands."""
        here = self.things.places[0, FIRST_AGENT + i - 1]
        if self.things.cells[0, here] == AGENT:
            self.things.cells[0, here] = FLOOR
        self.things.places[0, FIRST_AGENT + i - 1] = self.number(cell)
        self.things.cells[0, self.number(cell)] = AGENT
        if holds:
            self.leave(holds)
            self.things.hands[0, i - 1] = THING_NAMES.index(holds)
            self.move(holds, self.number(cell))
        return self.known()

    def leave(self, thing):
        """The thing no longer lies where it lay."""
        here = self.things.places[0, THING_NAMES.index(thing)]
        if self.things.cells[0, here] == THING_CODES[THING_NAMES.index(thing)]:
            self.things.cells[0, here] = COUNTER

    def move(self, thing, number):
        k = THING_NAMES.index(thing)
        self.things.places[0, k] = number
        if k >= FIRST_PLATE:
            for food in range(3):
                if self.things.plates[0, k - FIRST_PLATE] >> food & 1:
                    self.things.places[0, food] = number

    def lay(self, thing, cell):
        """The thing lies on the counter."""
        self.leave(thing)
        self.move(thing, self.number(cell))
        self.things.cells[0, self.number(cell)] = THING_CODES[THING_NAMES.index(thing)]
        return self.known()

    def board(self, knife, thing):
        """The thing lies on knife 1 or 2."""
        self.leave(thing)
        self.things.boards[0, knife - 1] = THING_NAMES.index(thing)
        self.move(thing, int(self.kitchen.knives[knife - 1]))
        return self.known()

    def cut(self, *foods, times=CHOPPED):
        for food in foods:
            self.things.cuts[0, THING_NAMES.index(food)] = times
        return self.known()

    def fill(self, plate, *foods):
        """Chopped foods are in the plate, wherever it is."""
        for food in foods:
            self.leave(food)
            self.things.plates[0, THING_NAMES.index(plate) - FIRST_PLATE] |= 1 << THING_NAMES.index(food)
        self.cut(*foods)
        self.move(plate, int(self.things.places[0, THING_NAMES.index(plate)]))
        return self.known()

    def known(self):
        """Everybody remembers everything as it is."""
        self.memory.places[0] = self.things.places[0]
        self.memory.cuts[0] = self.things.cuts[0]
        self.memory.unseen[0] = 0
        return self

    def believes(self, i, entity, cell):
        """Agent i (from 1) remembers the entity there, which may be wrong."""
        names = (*THING_NAMES, *(f"agent_{k + 1}" for k in range(self.sim.n_agents)))
        self.memory.places[0, i - 1, names.index(entity)] = self.number(cell)
        return self

    # --- playing ---

    def step(self, *names):
        """One step; who is executing goes on, agents that are not named stay."""
        actions = np.full((1, self.sim.n_agents), self.sim.action_names.index("stay"))
        for i, name in enumerate(names):
            actions[0, i] = self.sim.action_names.index(name or "stay")
        actions[self.sim.avail_actions[:, :, CONTINUE] == 1] = CONTINUE
        self.sim.step(actions)
        return self

    # --- looking ---

    def cell(self, entity):
        """(row, column) of a thing or of agent 1, 2, 3."""
        k = FIRST_AGENT + entity - 1 if isinstance(entity, int) else THING_NAMES.index(entity)
        return divmod(int(self.things.places[0, k]), self.columns)

    def remembered(self, i, entity):
        """Where agent i (from 1) thinks the thing or agent to be."""
        k = FIRST_AGENT + entity - 1 if isinstance(entity, int) else THING_NAMES.index(entity)
        return divmod(int(self.memory.places[0, i - 1, k]), self.columns)

    def code(self, cell):
        return int(self.things.cells[0, self.number(cell)])

    def held(self, i):
        """Name of what agent i (from 1) holds, or None."""
        return self.named(self.things.hands[0, i - 1])

    def on_knife(self, knife):
        return self.named(self.things.boards[0, knife - 1])

    @staticmethod
    def named(thing):
        return None if thing == NOTHING else THING_NAMES[thing]

    def in_plate(self, plate):
        """Names of the foods in plate 1 or 2."""
        return {THING_NAMES[food] for food in range(3) if self.things.plates[0, plate - 1] >> food & 1}

    def cuts(self, food):
        return int(self.things.cuts[0, THING_NAMES.index(food)])

    def move_made(self, i):
        """The primitive action that agent i (from 1) made in the last step."""
        return PRIMITIVE_NAMES[self.plans.moves[0, i - 1]]

    def is_executing(self, i):
        return bool(self.sim.avail_actions[0, i - 1, CONTINUE])

    def can(self, i):
        """Names of the own actions that agent i (from 1) may choose."""
        return {self.sim.action_names[a] for a in np.flatnonzero(self.sim.avail_actions[0, i - 1]) if a >= FIRST_ACTION}

    @property
    def reward(self):
        return round(float(self.sim.reward[0]), 4)

    def obs(self, i, name):
        return float(self.sim.obs[0, i - 1, self.sim.obs_names.index(name)])
