"""Overcooked, slow and plain, written from the rules: one episode, positions as (row, column), dictionaries.

Shares nothing with the kernels but the names of actions and features.
"""

import heapq

MOVES = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}
FOODS = ("tomato", "lettuce", "onion")
PLATES = ("plate_1", "plate_2")
THINGS = FOODS + PLATES
KIND = {"tomato": "tomato", "lettuce": "lettuce", "onion": "onion", "plate_1": "plate", "plate_2": "plate"}
DISHES = (
    {"tomato"}, {"lettuce"}, {"onion"}, {"lettuce", "tomato"}, {"onion", "tomato"}, {"lettuce", "onion"},
    {"lettuce", "onion", "tomato"},
)  # fmt: skip
TASK_FEATURES = (
    "tomato", "lettuce", "onion", "lettuce-tomato", "onion-tomato", "lettuce-onion", "lettuce-onion-tomato",
)  # fmt: skip
TARGETS = {
    "get-tomato": "tomato", "get-lettuce": "lettuce", "get-onion": "onion", "get-plate-1": "plate_1",
    "get-plate-2": "plate_2", "go-to-knife-1": "knife_1", "go-to-knife-2": "knife_2", "deliver": "delivery",
}  # fmt: skip
REWARDS = {"reward_chop": 10.0, "reward_delivery": 200.0, "reward_wrong": -5.0, "reward_step": -0.1}


def apart(a, b):
    """Manhattan distance."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


class Node:
    """An element of the search's frontier; of two equals each goes before the other."""

    def __init__(self, f, is_agent, g, cell, first):
        self.f, self.is_agent, self.g, self.cell, self.first = f, is_agent, g, cell, first

    def __lt__(self, other):
        return self.f < other.f or (self.f == other.f and self.is_agent <= other.is_agent)


class Game:
    """One episode on the kitchen drawn by `lines`."""

    def __init__(self, lines, n_agents=3, task=6, obs_radius=2, actions="macro", masks="upstream",
                 episode_limit=200, **rewards):  # fmt: skip
        self.n_rows, self.n_columns = len(lines), len(lines[0])
        self.agents = tuple(f"agent_{k + 1}" for k in range(n_agents))
        self.task, self.recipe, self.radius = task, DISHES[task], obs_radius
        self.is_macro, self.is_useful, self.limit = actions == "macro", masks == "useful", episode_limit
        self.rewards = REWARDS | rewards
        drawn = {(x, y): s for x, line in enumerate(lines) for y, s in enumerate(line)}
        self.bare = {cell: self.bare_kind(symbol) for cell, symbol in drawn.items()}
        self.home = {"tomato": self.find(drawn, "T")[0], "lettuce": self.find(drawn, "L")[0]}
        self.home |= {"onion": self.find(drawn, "O")[0]} | dict(zip(PLATES, self.find(drawn, "P")))
        self.home |= dict(zip(("knife_1", "knife_2"), self.find(drawn, "K")))
        self.home |= {"delivery": self.find(drawn, "D")[0]}
        self.home |= {agent: self.find(drawn, str(k + 1))[0] for k, agent in enumerate(self.agents)}
        self.drawn = drawn
        self.counters = {agent: self.counters_of(agent) for agent in self.agents}
        self.macros = ["stay", *TARGETS, "chop"] + ["go-to-counter"] * any(self.counters.values()) + list(MOVES)
        self.sidestep = self.find_sidestep()
        self.begin()

    @staticmethod
    def find(drawn, symbol):
        return sorted(cell for cell, s in drawn.items() if s == symbol)

    @staticmethod
    def bare_kind(symbol):
        return {"K": "knife", "D": "delivery", ".": "floor", "1": "floor", "2": "floor", "3": "floor"}.get(
            symbol, "counter"
        )

    def around(self, cell):
        return {name: (cell[0] + dx, cell[1] + dy) for name, (dx, dy) in MOVES.items()}

    def counters_of(self, agent):
        """Counters inside the kitchen that can be reached, nearest to its middle first."""
        floor, grown = {self.home[agent]}, True
        while grown:
            edge = {c for f in floor for c in self.around(f).values() if self.bare.get(c) == "floor"}
            grown = not edge <= floor
            floor |= edge
        inside = [c for c in self.find(self.drawn, "#") if 0 < c[0] < self.n_rows - 1 and 0 < c[1] < self.n_columns - 1]
        near = [c for c in inside if floor & set(self.around(c).values())]
        return sorted(near, key=lambda c: apart(c, (self.n_rows // 2, self.n_columns // 2)))  # a stable sort

    def find_sidestep(self):
        """(front of knife 1, of knife 2, of the delivery, move away) if they stand in a row facing one side."""
        row = [self.home["knife_1"], self.home["knife_2"], self.home["delivery"]]
        if apart(row[0], row[1]) != 1 or (2 * row[1][0] - row[0][0], 2 * row[1][1] - row[0][1]) != row[2]:
            return None
        fronts = {name: [self.around(c)[name] for c in row] for name in MOVES}
        free = [name for name, cells in fronts.items() if all(self.bare.get(c) == "floor" for c in cells)]
        return (*fronts[free[0]], free[0]) if len(free) == 1 else None

    def begin(self):
        self.cells = dict(self.bare)
        self.at = dict(self.home)
        for thing in THINGS:
            self.cells[self.home[thing]] = KIND[thing]
        for agent in self.agents:
            self.cells[self.home[agent]] = "agent"
        self.cuts = dict.fromkeys(FOODS, 0)
        self.hands = dict.fromkeys(self.agents)
        self.boards = {"knife_1": None, "knife_2": None}
        self.plates = {plate: [] for plate in PLATES}
        self.place_memory = {agent: dict(self.home) for agent in self.agents}
        self.cut_memory = {agent: dict.fromkeys(FOODS, 0.0) for agent in self.agents}
        self.macro = dict.fromkeys(self.agents)
        self.is_finished = dict.fromkeys(self.agents, True)
        self.strikes = dict.fromkeys(self.agents, 0)
        self.t, self.reward = 0, 0.0
        self.terminated = self.truncated = False
        self.n_chops = self.n_wrong = 0
        self.seen = {agent: self.look(agent) for agent in self.agents}
        for agent in self.agents:
            self.remember(agent)

    # --- a call ---

    def step(self, names):
        """One step; `names` are those of the simulator's actions."""
        moves = {}
        for agent, name in zip(self.agents, names):
            if self.is_finished[agent]:
                self.macro[agent], self.is_finished[agent] = name, False
            if not self.is_macro:
                moves[agent], self.is_finished[agent] = name, True
                continue
            moves[agent], is_end, is_strike = self.translate(agent, self.macro[agent])
            self.is_finished[agent] = is_end
            if is_strike:
                self.strikes[agent] = 0 if is_end else self.strikes[agent] + 1
        self.moves = moves
        self.reward = self.rewards["reward_step"]
        self.act(moves)
        self.t += 1
        for agent in self.agents:
            self.remember(agent)
            if not self.is_finished[agent]:
                self.is_finished[agent] = self.has_arrived(agent)
            if self.is_finished[agent]:
                self.seen[agent] = self.look(agent)
        self.truncated = not self.terminated and self.t == self.limit

    @property
    def over(self):
        return self.terminated or self.truncated

    def metrics(self):
        if not self.over:
            return {"battle_won": 0.0, "chops": 0.0, "wrong_deliveries": 0.0}
        return {"battle_won": float(self.terminated), "chops": self.n_chops, "wrong_deliveries": self.n_wrong}

    def available(self, agent):
        if not self.is_macro:
            return [*MOVES, "stay"]
        if not self.is_finished[agent]:
            return ["continue"]
        if not self.is_useful:
            return self.macros
        return [macro for macro in self.macros if macro == "stay" or self.does_something(agent, macro)]

    def does_something(self, agent, macro):
        """Whether a macro begun now might have an effect or last longer than this step."""
        move, is_end, _ = self.translate(agent, macro)
        if not is_end:
            return True
        if macro == "deliver" and self.hands[agent] is None:
            return False  # an empty-handed push against the delivery
        return move != "stay"

    # --- the world ---

    def act(self, moves):
        still_open = list(self.agents)
        while still_open:
            for agent in self.agents:
                if agent not in still_open:
                    continue
                still_open.remove(agent)
                if moves[agent] == "stay":
                    continue
                here = self.at[agent]
                there = self.around(here)[moves[agent]]
                kind = self.cells[there]
                if kind == "agent":
                    other = next(a for a in self.agents if self.at[a] == there)
                    if other not in still_open:
                        continue
                    if moves[other] != "stay" and self.around(there)[moves[other]] == here:
                        self.put(agent, there)
                        self.put(other, here)
                        still_open.remove(other)
                    else:
                        still_open.append(agent)
                elif kind == "floor":
                    self.cells[here] = "floor"
                    self.put(agent, there)
                    self.cells[there] = "agent"
                else:
                    self.push(agent, there, kind)

    def put(self, entity, cell):
        """The entity is on the cell, with what it carries or holds."""
        self.at[entity] = cell
        if entity in self.agents and self.hands[entity]:
            self.put(self.hands[entity], cell)
        for food in self.plates.get(entity, ()):
            self.at[food] = cell

    def is_chopped(self, thing):
        return self.cuts.get(thing) == 3

    def push(self, agent, cell, kind):
        held = self.hands[agent]
        if kind == "delivery":
            if held:
                self.deliver(agent, held)
        elif kind == "knife":
            self.push_knife(agent, held, "knife_1" if self.home["knife_1"] == cell else "knife_2")
        elif kind == "counter":
            if held:
                self.hands[agent] = None
                self.put(held, cell)
                self.cells[cell] = KIND[held]
        else:
            thing = next(t for t in THINGS if KIND[t] == kind and self.at[t] == cell)
            if not held:
                self.hands[agent] = thing
                self.put(thing, self.at[agent])
                self.cells[cell] = "counter"
            elif kind == "plate" and self.is_chopped(held):
                self.hands[agent] = None
                self.plates[thing].append(held)
                self.put(thing, cell)
            elif held in PLATES and self.is_chopped(thing):
                self.plates[held].append(thing)
                self.put(held, self.at[agent])
                self.cells[cell] = "counter"

    def push_knife(self, agent, held, knife):
        lying = self.boards[knife]
        if not held and lying:
            if lying in PLATES or self.is_chopped(lying):
                self.boards[knife], self.hands[agent] = None, lying
                self.put(lying, self.at[agent])
            else:
                self.cuts[lying] += 1
                if self.is_chopped(lying) and lying in self.recipe:
                    self.n_chops += 1
                    self.reward += self.rewards["reward_chop"]
        elif held and not lying:
            self.hands[agent], self.boards[knife] = None, held
            self.put(held, self.home[knife])
        elif held in PLATES and self.is_chopped(lying):
            self.boards[knife] = None
            self.plates[held].append(lying)
            self.put(held, self.at[agent])
        elif lying in PLATES and self.is_chopped(held):
            self.boards[knife], self.hands[agent] = None, lying
            self.plates[lying].append(held)
            self.put(lying, self.at[agent])

    def deliver(self, agent, held):
        self.hands[agent] = None
        if held in PLATES and set(self.plates[held]) == self.recipe:
            self.put(held, self.home["delivery"])
            self.terminated = True
            self.reward += self.rewards["reward_delivery"]
            return
        self.n_wrong += 1
        self.reward += self.rewards["reward_wrong"]
        back = [held] + (self.plates[held] if held in PLATES else [])
        if held in PLATES:
            self.plates[held] = []
        for thing in back:
            self.at[thing] = self.home[thing]
            self.cells[self.home[thing]] = KIND[thing]
            if thing in FOODS:
                self.cuts[thing] = 0

    # --- seeing and remembering ---

    def sees(self, agent, cell):
        x, y = self.at[agent]
        return self.radius == 0 or (abs(cell[0] - x) <= self.radius and abs(cell[1] - y) <= self.radius)

    def remember(self, agent):
        places, cuts = self.place_memory[agent], self.cut_memory[agent]
        for entity, cell in self.at.items():
            if self.sees(agent, cell):
                places[entity] = cell
                if entity in FOODS:
                    cuts[entity] = self.cuts[entity] / 3
            else:
                if self.sees(agent, places[entity]):
                    places[entity] = self.home[entity]
                if entity in FOODS:
                    cuts[entity] /= 3

    def belief(self, agent):
        """The map that the agent believes in, painted."""
        board = dict(self.bare)
        for entity in (*THINGS, "knife_1", "knife_2", "delivery", *self.agents):
            kind = KIND.get(entity) or ("agent" if entity in self.agents else entity.split("_")[0])
            board[self.place_memory[agent][entity]] = kind
        board[self.at[agent]] = "agent"
        return board

    # --- macro-actions ---

    def translate(self, agent, macro):
        """(primitive action, whether the macro ends with it, whether it is a strike of a chop)."""
        me, board = self.at[agent], self.belief(agent)
        if macro == "stay":
            return "stay", True, False
        if macro in MOVES:
            return (macro if board[self.around(me)[macro]] == "floor" else "stay"), True, False
        if macro == "chop":
            for move, cell in self.around(me).items():
                if self.cells[cell] == "knife":
                    lying = self.boards["knife_1" if self.home["knife_1"] == cell else "knife_2"]
                    if lying in FOODS and not self.is_chopped(lying):
                        return move, self.strikes[agent] == 2, True
            return "stay", True, False
        if macro == "go-to-counter":
            for cell in self.counters[agent]:
                if board[cell] == "counter":
                    return self.path(agent, board, cell), apart(me, cell) == 1, False
            return "stay", True, False
        return (*self.approach(agent, macro, me, board), False)

    def approach(self, agent, macro, me, board):
        """The macros that aim at an entity: (primitive action, whether the macro ends)."""
        front_1, middle, front_3, aside = self.sidestep or (None, None, None, None)
        if macro == "deliver" and me == front_1 and board[middle] == "agent":
            return aside, False
        entity, held = TARGETS[macro], self.hands[agent]
        target = self.place_memory[agent][entity]
        is_visible = self.sees(agent, target)
        if entity in FOODS and is_visible and target in (self.at["plate_1"], self.at["plate_2"]):
            return "stay", True
        if target == self.home["knife_1"] and me == front_3 and board[middle] == "agent":
            return aside, False
        if board[target] == "agent" and is_visible:
            return "stay", True
        move = self.path(agent, board, target)
        is_end = move == "stay"
        if apart(me, target) == 1:
            is_end = True
            if entity in PLATES and held in FOODS and self.is_chopped(held):
                is_end = False
            if entity in PLATES and held in FOODS and not self.is_chopped(held):
                move = "stay"
            if macro.startswith("go-to-knife") and held is None:
                move = "stay"
            if entity in FOODS and self.bare[target] == "knife":
                lying = self.boards["knife_1" if self.home["knife_1"] == target else "knife_2"]
                if lying in FOODS and not self.is_chopped(lying):
                    move = "stay"
            if entity in THINGS and target != self.at[entity]:
                move = "stay"
        return move, is_end

    def path(self, agent, board, target):
        frontier, marked = [Node(apart(self.at[agent], target), 0, 0, self.at[agent], None)], {self.at[agent]}
        while frontier:
            node = heapq.heappop(frontier)
            around = self.around(node.cell)
            for move in ("right", "left", "down", "up"):
                cell = around[move]
                if cell in marked:
                    continue
                first, g = node.first or move, node.g + 1
                if board[cell] in ("floor", "agent"):
                    marked.add(cell)
                    new = Node(g + apart(cell, target), int(board[cell] == "agent"), g, cell, first)
                    heapq.heappush(frontier, new)
                if cell == target:
                    return first
        return "stay"

    def has_arrived(self, agent):
        """The checks after the step, with the memory as it is then."""
        macro = self.macro[agent]
        entity = TARGETS.get(macro)
        if entity is None:
            return False
        target = self.place_memory[agent][entity]
        is_beside = apart(self.at[agent], target) == 1
        if entity in THINGS and target != self.at[entity]:
            return True
        if entity in FOODS:
            return is_beside and self.bare[target] == "knife" and not self.is_chopped(entity)
        return entity not in PLATES and is_beside and self.hands[agent] is None

    # --- what is returned ---

    def vector(self, places, values):
        """An observation from places (None = not seen) and cut values."""
        told = {}
        for entity in (*THINGS, "knife_1", "knife_2", "delivery", *self.agents):
            cell = places[entity]
            told[f"{entity}.x"] = cell[0] / self.n_rows if cell else 0.0
            told[f"{entity}.y"] = cell[1] / self.n_columns if cell else 0.0
            if entity in FOODS:
                told[f"{entity}.chopped"] = values[entity] if cell else 0.0
        return told | {f"task.{name}": float(k == self.task) for k, name in enumerate(TASK_FEATURES)}

    def look(self, agent):
        seen = {entity: cell if self.sees(agent, cell) else None for entity, cell in self.at.items()}
        return self.vector(seen, {food: cuts / 3 for food, cuts in self.cuts.items()})

    def observation(self, agent):
        if self.is_macro:
            return self.seen[agent]
        return self.vector(self.place_memory[agent], self.cut_memory[agent])

    def state(self):
        told = self.vector(self.at, {food: cuts / 3 for food, cuts in self.cuts.items()})
        told |= {f"{t}.lies_open": float(self.cells[self.at[t]] == KIND[t]) for t in THINGS}
        told |= {f"{k}.{t}": float(lying == t) for k, lying in self.boards.items() for t in THINGS}
        told |= {f"{p}.{food}": float(food in self.plates[p]) for p in PLATES for food in FOODS}
        for agent in self.agents:
            told |= {f"{agent}.holds_{t}": float(self.hands[agent] == t) for t in THINGS}
            for entity in THINGS + self.agents:
                if entity != agent:
                    x, y = self.place_memory[agent][entity]
                    told[f"{agent}.remembers_{entity}.x"] = x / self.n_rows
                    told[f"{agent}.remembers_{entity}.y"] = y / self.n_columns
            told |= {f"{agent}.remembers_{food}.chopped": self.cut_memory[agent][food] for food in FOODS}
            if self.is_macro:
                running = None if self.is_finished[agent] else self.macro[agent]
                told |= {f"{agent}.executes_{macro}": float(running == macro) for macro in self.macros}
                told[f"{agent}.strikes"] = self.strikes[agent] / 3
        return told | {"time": self.t / self.limit}
