"""SMAC's availability, observation, state and reward, written from its description and not from the kernels.

Slow and obvious: lists of (name, value), read off the true world.
"""

from math import hypot

DIRECTIONS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
SCALES = {"marine": 15, "marauder": 25, "stalker": 35, "zealot": 22, "colossus": 24, "hydralisk": 10, "zergling": 11,
          "baneling": 1, "medivac": 200}  # fmt: skip
AROUND = {"north": (0, 4), "south": (0, -4), "east": (4, 0), "west": (-4, 0), "north-east": (2, 2),
          "south-west": (-2, -2), "south-east": (2, -2), "north-west": (-2, 2), "here": (0, 0)}  # fmt: skip
PROTOSS = {"stalker", "zealot", "colossus"}


class Unit:
    """One unit of episode b as it is."""

    def __init__(self, sim, b, u):
        units, self.type = sim.world.units, sim.field.types[u]
        self.number, self.is_ally = u, u < sim.n_agents
        self.x, self.y = float(units.x[b, u]), float(units.y[b, u])
        self.health, self.shield = float(units.health[b, u]), float(units.shield[b, u])
        self.energy, self.cooldown = float(units.energy[b, u]), float(units.cooldown[b, u])
        self.alive = self.health > 0

    def to(self, other):
        return hypot(other.x - self.x, other.y - self.y)


class View:
    """Everything that SMAC would show of episode b."""

    def __init__(self, sim, b, options):
        self.sim, self.b, self.options = sim, b, options
        units = [Unit(sim, b, u) for u in range(len(sim.field.types))]
        self.allies, self.enemies = units[: sim.n_agents], units[sim.n_agents :]
        self.walkable = sim.world.ground.walkable
        self.sight = options.get("sight", 9.0)

    def flag(self, name, default=False):
        return self.options.get(name, default)

    def may_walk(self, x, y):
        return 0 <= int(x) < 32 and 0 <= int(y) < 32 and bool(self.walkable[int(y), int(x)])

    def targets(self, agent):
        """Whom each attack action means; None where there is nobody it could mean."""
        if agent.type.name != "medivac":
            return self.enemies
        found = [ally if ally.type.name != "medivac" else None for ally in self.allies][: len(self.enemies)]
        return found + [None] * (len(self.enemies) - len(found))

    def available(self, agent):
        """Names of SMAC's actions, busy or not."""
        if not agent.alive:
            return ["no-op"]
        names = ["stop"]
        names += [f"move-{name}" for name, (dx, dy) in DIRECTIONS.items() if self.may_walk(agent.x + dx, agent.y + dy)]
        for k, target in enumerate(self.targets(agent)):
            if target is not None and target.alive and agent.to(target) <= 6:
                names.append(f"attack-{k}")
        return names

    def one_hot(self, unit):
        types = self.sim.field.ally_types if unit.is_ally else self.sim.field.enemy_types
        return [float(name == unit.type.name) for name in types]

    def vitals(self, unit, side):
        has_shields = any(other.type.name in PROTOSS for other in side)
        parts = [unit.health / unit.type.health]
        return parts + ([unit.shield / unit.type.shield if unit.type.shield else 0.0] if has_shields else [])

    def body(self, agent, other, side, first):
        """A block of an observation, zero where the other is dead or out of sight."""
        row = [first, agent.to(other) / self.sight, (other.x - agent.x) / self.sight, (other.y - agent.y) / self.sight]
        row += self.vitals(other, side) if self.flag("obs_all_health", True) else []
        row += self.one_hot(other)
        return row if other.alive and agent.to(other) < self.sight else [0.0] * len(row)

    def observation(self, agent):
        can = self.available(agent)
        row = [float(f"move-{name}" in can) for name in DIRECTIONS]
        for name, names, table in (
            ("obs_pathing_grid", list(AROUND)[:8], self.walkable),
            ("obs_terrain_height", list(AROUND), self.sim.world.ground.height),
        ):
            for point in names if self.flag(name) else ():
                x, y = int(agent.x) + AROUND[point][0], int(agent.y) + AROUND[point][1]
                row.append(float(table[y, x]) if 0 <= x < 32 and 0 <= y < 32 else 1.0)
        for k, enemy in enumerate(self.enemies):
            row += self.body(agent, enemy, self.enemies, float(f"attack-{k}" in can))
        for ally in self.allies:
            if ally is agent:
                continue
            block = self.body(agent, ally, self.allies, 1.0)
            if self.flag("obs_last_action"):
                is_seen = ally.alive and agent.to(ally) < self.sight
                block += self.last_action(ally) if is_seen else [0.0] * (6 + len(self.enemies))
            row += block
        if self.flag("obs_all_health", True) or self.flag("obs_own_health", True):
            row += self.vitals(agent, self.allies)
        row += self.one_hot(agent)
        if not agent.alive:
            row = [0.0] * len(row)
        if self.flag("obs_timestep_number"):
            row.append(float(self.sim.t[self.b]) / self.sim.episode_limit)
        return row

    def last_action(self, ally):
        """One-hot in SMAC's numbers of what the agent last did; zero after reset."""
        row = [0.0] * (6 + len(self.enemies))
        if self.sim.t[self.b] > 0:
            row[int(self.sim.world.clocks.executed[self.b, ally.number])] = 1.0
        return row

    def state(self):
        row = []
        for unit in self.allies + self.enemies:
            vitals = self.vitals(unit, self.allies if unit.is_ally else self.enemies)
            part = vitals[:1]
            if unit.is_ally:
                clock = unit.energy if unit.type.name == "medivac" else max(unit.cooldown, 0.0)
                part.append(clock / SCALES.get(unit.type.name, 15))
            part += [(unit.x - 16) / 32, (unit.y - 16) / 32] + vitals[1:] + self.one_hot(unit)
            row += part if unit.alive else [0.0] * len(part)
        for ally in self.allies if self.flag("state_last_action", True) else ():
            row += self.last_action(ally)
        if self.flag("state_timestep_number"):
            row.append(float(self.sim.t[self.b]) / self.sim.episode_limit)
        return row


class Ledger:
    """SMAC's reward from the vitals before and after a step."""

    def __init__(self, sim, b, options):
        self.sim, self.b, self.options = sim, b, options
        enemies = sim.field.types[sim.n_agents :]
        self.most = 10 * len(enemies) + 200 + sum(unit.health + unit.shield for unit in enemies)
        self.before = self.vitals()

    def vitals(self):
        units = self.sim.world.units
        return [float(units.health[self.b, u] + units.shield[self.b, u]) for u in range(len(self.sim.field.types))]

    def reward(self):
        """Of the step that has just been made."""
        now, n = self.vitals(), self.sim.n_agents
        dealt = suffered = 0.0
        for u, (then, left) in enumerate(zip(self.before, now)):
            if then > 0:
                loss = then - left + (10 if left == 0 else 0)
                dealt, suffered = (dealt, suffered + loss) if u < n else (dealt + loss, suffered)
        self.before = now
        total = abs(dealt) if self.options.get("reward_only_positive", True) else dealt - 0.5 * suffered
        if self.sim.terminated[self.b] and self.sim.metrics["battle_won"][self.b]:
            total += 200
        return total / (self.most / 20)
