"""A slow twin of POAC in plain Python, written from the rule book (README.md), not from the kernels.

One episode, objects instead of arrays, names instead of indices. It draws from the same random stream in the
order that the rule book gives, so that it must agree with the kernels on everything.
"""

from dataclasses import dataclass
from fractions import Fraction

DIRECTIONS = ("E", "NE", "NW", "W", "SW", "SE")
KINDS = ("infantry", "chariot", "tank")
TABLE = {  # Table 2; blood and damage in tenths
    "infantry": dict(
        blood=70,
        sight=5,
        range=3,
        damage={"infantry": 8, "armour": 8},
        hit={"infantry": 6, "armour": 7},
        preparation=2,
        guides=True,
        guided_range=5,
        steps={"paper": 5, "original": 5},
    ),
    "chariot": dict(
        blood=80,
        sight=10,
        range=7,
        damage={"infantry": 8, "armour": 15},
        hit={"infantry": 6, "armour": 7},
        preparation=2,
        guides=True,
        guided_range=10,
        steps={"paper": 4, "original": 1},
    ),
    "tank": dict(
        blood=100,
        sight=10,
        range=7,
        damage={"infantry": 6, "armour": 12},
        hit={"infantry": 6, "armour": 8},
        preparation=0,
        guides=False,
        guided_range=0,
        steps={"paper": 2, "original": 1},
    ),
}
SIZES = {"1": (13, 23), "2": (13, 23), "3": (17, 27), "4": (27, 37), "5": (27, 37)}
GUIDED = {"1": False, "2": False, "3": True, "4": True, "5": True}
BOTS = {"1": "KAI0", "2": "KAI1", "3": "KAI0", "4": "KAI1", "5": "KAI2"}


class Stream:
    """SplitMix64 on Python's whole numbers."""

    def __init__(self, seed):
        self.state = seed
        self.n_draws = 0

    def below(self, n):
        self.n_draws += 1
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        return (z >> 32) * n >> 32

    def choose(self, equals):
        """One of several equals; no draw where there is only one."""
        return equals[self.below(len(equals))] if len(equals) > 1 else equals[0]


@dataclass(eq=False)
class Unit:
    """One unit; (row, column) is its cell."""

    kind: str
    side: int
    cell: tuple
    blood: int = 0
    cooldown: int = 0
    preparation: int = 0
    left: int = 0
    direction: str = ""
    post: tuple = ()
    alarm: int = 0
    waypoint: str = "first"
    hit_now: bool = False

    @property
    def numbers(self):
        return TABLE[self.kind]

    @property
    def armour(self):
        return "infantry" if self.kind == "infantry" else "armour"

    @property
    def lives(self):
        return self.blood > 0


def cube(cell):
    row, column = cell
    x = column - (row - row % 2) // 2
    return x, -x - row, row


def between(a, b):
    return max(abs(p - q) for p, q in zip(cube(a), cube(b)))


class Game:
    """One episode."""

    def __init__(
        self,
        scenario,
        hidden,
        seed,
        bot=None,
        speeds="paper",
        guided=None,
        random_start=False,
        patience=0,
        episode_limit=600,
    ):
        self.rows, self.columns = SIZES[scenario]
        self.hidden = {(r, c) for r in range(self.rows) for c in range(self.columns) if hidden[r][c]}
        self.bot = bot or BOTS[scenario]
        self.guided = GUIDED[scenario] if guided is None else guided
        self.speeds, self.patience, self.limit = speeds, patience, episode_limit
        self.stream = Stream(seed)
        self.t = 0
        self.over = self.terminated = self.truncated = False
        self.lost, self.shots, self.guided_shots = [0, 0], [0, 0], [0, 0]
        self.reward = 0.0
        self.blind = None
        self.units = []
        for side in (0, 1):
            shift = (-2, 0, 2)[self.stream.below(3)] if random_start else 0
            for kind, row in zip(KINDS, (-2, 0, 2)):
                cell = (self.rows // 2 + row + shift, 1)
                cell = cell if side == 0 else self.rotated(cell)
                self.units.append(Unit(kind, side, cell, TABLE[kind]["blood"], post=cell))
        self.start = [self.units[1].cell, self.units[4].cell]
        middle = [(r, c) for r in range(self.rows) for c in range(self.columns) if self.inside((r, c))]
        self.centres = [c for c in middle if between(c, self.rotated(c)) <= 1]

    # --- geometry -------------------------------------------------------------------------------------------

    def inside(self, cell):
        row, column = cell
        return (
            0 <= row < self.rows
            and 0 <= column < self.columns
            and not (row % 2 and column == self.columns - 1)
        )

    def rotated(self, cell):
        return self.rows - 1 - cell[0], self.columns - 1 - cell[0] % 2 - cell[1]

    def beside(self, cell, direction):
        x, _, z = cube(cell)
        step_x, step_z = {
            "E": (1, 0),
            "NE": (1, -1),
            "NW": (0, -1),
            "W": (-1, 0),
            "SW": (-1, 1),
            "SE": (0, 1),
        }[direction]
        x, z = x + step_x, z + step_z
        return z, x + (z - z % 2) // 2

    def to_centre(self, cell):
        return min(between(cell, centre) for centre in self.centres)

    # --- seeing and reach -----------------------------------------------------------------------------------

    def enemies(self, unit):
        return self.units[3:] if unit.side == 0 else self.units[:3]

    def friends(self, unit):
        return self.units[:3] if unit.side == 0 else self.units[3:]

    def sees(self, unit, enemy):
        sight = unit.numbers["sight"]
        if enemy.cell in self.hidden:
            sight //= 2
        return unit.lives and enemy.lives and between(unit.cell, enemy.cell) <= sight

    def reach(self, unit, enemy):
        """ "attack", "guided-attack" or "", timers apart."""
        if not (unit.lives and enemy.lives):
            return ""
        cells = between(unit.cell, enemy.cell)
        if self.sees(unit, enemy) and cells <= unit.numbers["range"]:
            return "attack"
        spotters = [
            f for f in self.friends(unit) if f is not unit and f.numbers["guides"] and self.sees(f, enemy)
        ]
        if self.guided and unit.numbers["guides"] and spotters and cells <= unit.numbers["guided_range"]:
            return "guided-attack"
        return ""

    def ready(self, unit):
        return unit.left == 0 and unit.cooldown == 0 and unit.preparation == 0

    def available(self, agent):
        unit = self.units[agent]
        if not unit.lives:
            return ["noop"]
        if unit.left:
            return ["continue"]
        names = ["stop"] + [f"move-{d}" for d in DIRECTIONS if self.inside(self.beside(unit.cell, d))]
        if self.ready(unit):
            names += [
                f"{self.reach(unit, e)}-{j}" for j, e in enumerate(self.enemies(unit)) if self.reach(unit, e)
            ]
        return names

    # --- one step -------------------------------------------------------------------------------------------

    def step(self, names):
        """`names`: the actions of the three agents."""
        orders = list(names) + self.bot_orders(1)
        wounds = [0] * 6
        shooters = set()
        for u, (unit, order) in enumerate(
            zip(self.units, orders)
        ):  # (1) shots, on the situation before the step
            if "attack" in order:
                j = int(order[-1])
                enemy = self.enemies(unit)[j]
                if self.stream.below(10) < unit.numbers["hit"][enemy.armour]:
                    wounds[self.units.index(enemy)] += unit.numbers["damage"][enemy.armour]
                shooters.add(u)
                self.shots[unit.side] += 1
                self.guided_shots[unit.side] += order.startswith("guided")
        arrived = set()
        lost = [0, 0]
        for unit, wound in zip(self.units, wounds):
            taken = min(unit.blood, wound)
            lost[unit.side] += taken
            unit.blood -= taken
            unit.hit_now = wound > 0
        for u, (unit, order) in enumerate(zip(self.units, orders)):  # (2) moves
            if not unit.lives:
                unit.left, unit.direction, unit.cooldown, unit.preparation = 0, "", 0, 0
                continue
            if order.startswith("move"):
                unit.direction, unit.left = order[5:], unit.numbers["steps"][self.speeds]
            if unit.left:
                unit.left -= 1
                if unit.left == 0:
                    unit.cell, unit.direction = self.beside(unit.cell, unit.direction), ""
                    arrived.add(u)
        for u, unit in enumerate(self.units):  # (3) timers; one that is set in this step is not run in it
            unit.cooldown = 1 if u in shooters and unit.lives else max(0, unit.cooldown - 1)
            if u in arrived:
                unit.preparation = unit.numbers["preparation"]
            else:
                unit.preparation = max(0, unit.preparation - 1)
        self.t += 1
        self.reward = (lost[1] - lost[0]) / 10
        self.lost = [self.lost[0] + lost[0], self.lost[1] + lost[1]]
        self.terminated = not all(
            any(unit.lives for unit in side) for side in (self.units[:3], self.units[3:])
        )
        self.truncated = not self.terminated and self.t == self.limit
        self.over = self.terminated or self.truncated

    def metrics(self):
        if not self.over:
            return dict.fromkeys(
                (
                    "battle_won",
                    "draw",
                    "contact",
                    "damage_dealt",
                    "damage_taken",
                    "enemies_dead",
                    "allies_dead",
                    "guided_shots",
                ),
                0.0,
            )
        return dict(
            battle_won=float(self.lost[1] > self.lost[0]),
            draw=float(self.lost[1] == self.lost[0]),
            contact=float(sum(self.shots) > 0),
            damage_dealt=self.lost[1] / 10,
            damage_taken=self.lost[0] / 10,
            enemies_dead=float(sum(not unit.lives for unit in self.units[3:])),
            allies_dead=float(sum(not unit.lives for unit in self.units[:3])),
            guided_shots=float(self.guided_shots[0]),
        )

    # --- observation ----------------------------------------------------------------------------------------

    def body(self, unit):
        features = {f"is_{kind}": float(unit.kind == kind) for kind in KINDS}
        features |= {
            "blood": unit.blood / unit.numbers["blood"],
            "row": unit.cell[0] / (self.rows - 1),
            "column": unit.cell[1] / (self.columns - 1),
            "in_hidden_terrain": float(unit.cell in self.hidden),
            "cooldown": float(unit.cooldown),
            "preparation": unit.preparation / 2,
            "steps_left": unit.left / unit.numbers["steps"][self.speeds],
        }
        return features | {f"moving_{d}": float(unit.left > 0 and unit.direction == d) for d in DIRECTIONS}

    def observation(self, agent):
        unit = self.units[agent]
        features = {f"own.{name}": value for name, value in self.body(unit).items()}
        for d in DIRECTIONS:
            there = self.beside(unit.cell, d)
            features[f"own.inside_map_{d}"] = float(self.inside(there))
            features[f"own.hidden_{d}"] = float(there in self.hidden)
        features["own.time"] = self.t / self.limit
        allies = [u for u in self.units[:3] if u is not unit]
        for who, others in (("ally", allies), ("enemy", self.units[3:])):
            for k, other in enumerate(others):
                features |= {f"{who}_{k}.{n}": v for n, v in self.other(unit, other, who == "ally").items()}
        return features if unit.lives else dict.fromkeys(features, 0.0)

    def other(self, unit, other, is_ally):
        sight = unit.numbers["sight"]
        cells = between(unit.cell, other.cell)
        seen = other.lives and (cells <= sight if is_ally else self.sees(unit, other))
        dx, _, dz = (p - q for p, q in zip(cube(other.cell), cube(unit.cell)))
        reach = "" if is_ally or not self.ready(unit) else self.reach(unit, other)
        features = {
            "seen": 1.0,
            "offset_q": dx / sight,
            "offset_r": dz / sight,
            "distance": cells / sight,
            **{f"is_{kind}": float(other.kind == kind) for kind in KINDS},
            "blood": other.blood / other.numbers["blood"],
            "in_hidden_terrain": float(other.cell in self.hidden),
            "moving": float(is_ally and other.left > 0),
        }
        if not seen:
            features = dict.fromkeys(features, 0.0)
        return features | {
            "can_be_attacked": float(reach == "attack"),
            "can_be_attacked_by_guidance": float(reach == "guided-attack"),
        }

    def state(self):
        features = {}
        for unit in self.units:
            about = {"alive": 1.0, **self.body(unit)}
            about = about if unit.lives else dict.fromkeys(about, 0.0)
            features |= {
                f"{('red', 'blue')[unit.side]}_{unit.kind}.{name}": value for name, value in about.items()
            }
        return features | {"time": self.t / self.limit}

    # --- the bots -------------------------------------------------------------------------------------------

    def bot_orders(self, side):
        units = self.units[3 * side : 3 * side + 3]
        if self.blind is None and self.bot != "KAI0":
            self.take_posts(units)
        was_blind = bool(self.blind)
        seen = self.seen_by(side)
        self.blind = 0 if seen else (self.blind or 0) + 1
        for unit in units:
            if seen:
                unit.alarm = 0
            elif unit.alarm or (was_blind and unit.hit_now):
                unit.alarm += 1
        for unit in units:
            if self.bot == "KAI1" and unit.lives and unit.alarm >= 20:
                unit.alarm = 0
                unit.post = self.nearest_hidden(unit)
        kind = "KAI0" if 0 < self.patience <= self.blind else self.bot
        orders = []
        for unit in units:
            if not unit.lives:
                orders.append("noop")
            elif unit.left:
                orders.append("continue")
            else:
                orders.append(self.bot_order(unit, kind))
        return orders

    def seen_by(self, side):
        units = self.units[3 * side : 3 * side + 3]
        return [e for e in self.enemies(units[0]) if any(self.sees(u, e) for u in units)]

    def bot_order(self, unit, kind):
        targets = [(j, e) for j, e in enumerate(self.enemies(unit)) if self.reach(unit, e)]
        if targets and not self.ready(unit):
            return "stop"
        if targets:

            def score(target):
                enemy = target[1]
                per_shot = unit.numbers["damage"][enemy.armour] * unit.numbers["hit"][enemy.armour]
                return Fraction(enemy.blood, per_shot), between(unit.cell, enemy.cell)

            best = min(map(score, targets))
            j, enemy = self.stream.choose([target for target in targets if score(target) == best])
            return f"{self.reach(unit, enemy)}-{j}"
        goal = unit.post
        if kind == "KAI0":
            goal = self.hunting_goal(unit)
        elif kind == "KAI2" and unit.kind == "tank":
            near = [e for e in self.seen_by(unit.side) if between(e.cell, unit.post) <= 7]
            goal = self.nearest(unit, near).cell if near else unit.post
        if goal == unit.cell:
            return "stop"
        moves = [d for d in DIRECTIONS if self.inside(self.beside(unit.cell, d))]
        best = min(between(self.beside(unit.cell, d), goal) for d in moves)
        return "move-" + self.stream.choose(
            [d for d in moves if between(self.beside(unit.cell, d), goal) == best]
        )

    def nearest(self, unit, enemies):
        best = min(between(unit.cell, e.cell) for e in enemies)
        return self.stream.choose([e for e in enemies if between(unit.cell, e.cell) == best])

    def hunting_goal(self, unit):
        if unit.waypoint == "first" and unit.cell in self.centres:
            unit.waypoint = "start"
        seen = self.seen_by(unit.side)
        if unit.waypoint != "first":
            if seen:
                return self.nearest(unit, seen).cell
            if unit.waypoint == "start" and unit.cell == self.start[1 - unit.side]:
                unit.waypoint = "centre"
            elif unit.waypoint == "centre" and unit.cell in self.centres:
                unit.waypoint = "start"
            if unit.waypoint == "start":
                return self.start[1 - unit.side]
        best = self.to_centre(unit.cell)
        return self.stream.choose([c for c in self.centres if between(unit.cell, c) == best])

    def free_hidden(self, unit):
        """Hidden cells of its own side, in reading order, that are nobody's post."""
        taken = {u.post for u in self.friends(unit) if u.lives}
        own, other = self.start[unit.side], self.start[1 - unit.side]
        return [c for c in sorted(self.hidden) if between(c, own) < between(c, other) and c not in taken]

    def nearest_hidden(self, unit):
        cells = self.free_hidden(unit)
        if not cells:
            return unit.post
        best = min(map(self.to_centre, cells))
        return self.stream.choose([c for c in cells if self.to_centre(c) == best])

    def take_posts(self, units):
        infantry, chariot, tank = units
        if self.bot == "KAI1":
            for unit in units:
                unit.post = self.nearest_hidden(unit)
            return
        infantry.post = self.nearest_hidden(infantry)
        behind = [c for c in self.free_hidden(chariot) if self.to_centre(c) > self.to_centre(infantry.post)]
        if behind:

            def miss(cell):
                cells = between(cell, infantry.post)
                return min(abs(cells - wanted) for wanted in (3, 4, 5))

            best = min(map(miss, behind))
            chariot.post = self.stream.choose([c for c in behind if miss(c) == best])
        tank.post = chariot.post
