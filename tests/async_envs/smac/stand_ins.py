"""Stand-ins for SMAC's and SMAClite's environments: their methods, played by the native engine without durations."""

from types import SimpleNamespace

import numpy as np

from async_envs.smac.simulator import make


class StarCraft2Env:
    """SMAC's methods. Writes down what it was told; `crashes_at` ends a battle as a crash of the game does."""

    made: list = []

    def __init__(self, map_name="8m", seed=None, crashes_at=None, **options):
        self.sim = make(f"async:smac-{map_name}", map_name, smac_compat=True, durations="all_one", **options)
        self.seed_given, self.options, self.crashes_at = seed, options, crashes_at
        self.told, self.timeouts, self.n_resets, self.is_closed = [], 0, 0, False
        self.made.append(self)

    def get_env_info(self):
        sim = self.sim
        return {"n_agents": sim.n_agents, "n_actions": sim.n_actions, "obs_shape": sim.obs_dim,
                "state_shape": sim.state_dim, "episode_limit": sim.episode_limit}  # fmt: skip

    def reset(self):
        self.n_resets += 1
        self.sim.reset([0])
        return self.get_obs(), self.get_state()

    def step(self, actions):
        assert all(type(action) is int for action in actions)
        self.told.append(list(actions))
        if self.crashes_at == len(self.told):
            return 0, True, {}
        self.sim.step(np.array([actions]))  # raises for what is not available, as SMAC asserts
        won = bool(self.sim.metrics["battle_won"][0])
        sides = self.sim.world.units.alive[0]
        is_late = self.sim.terminated[0] and sides[: self.sim.n_agents].any() and sides[self.sim.n_agents :].any()
        self.timeouts += int(is_late)
        return float(self.sim.reward[0]), bool(self.sim.terminated[0]), {"battle_won": won}

    def get_avail_actions(self):
        return self.sim.avail_actions[0].tolist()

    def get_obs(self):
        return list(self.sim.obs[0].copy())

    def get_state(self):
        return self.sim.state[0].copy()

    @property
    def death_tracker_ally(self):
        return 1 - self.sim.world.units.alive[0, : self.sim.n_agents]

    @property
    def death_tracker_enemy(self):
        return 1 - self.sim.world.units.alive[0, self.sim.n_agents :]

    def close(self):
        self.is_closed = True


class SMACliteEnv(StarCraft2Env):
    """SMAClite's methods: Gymnasium's five values, units in dictionaries, no limit, a win that is also both dead."""

    def __init__(self, map_name, **options):
        super().__init__(map_name, episode_limit=10_000, **options)
        self.n_agents, self.n_actions = self.sim.n_agents, self.sim.n_actions
        self.obs_size, self.state_size = self.sim.obs_dim, self.sim.state_dim
        self.n_enemies = self.sim.world.rules.n_enemies
        self.unwrapped = self
        units = [(SimpleNamespace(stats=SimpleNamespace(name=unit.name)), 1) for unit in self.sim.field.types]
        sides = ("ENEMY", units[self.n_agents :]), ("ALLY", units[: self.n_agents])
        groups = [SimpleNamespace(faction=SimpleNamespace(value=side), units=held) for side, held in sides]
        self.map_info = SimpleNamespace(groups=groups)

    def reset(self, seed=None, options=None):
        assert type(seed) is int
        super().reset()
        return tuple(self.get_obs()), {}

    def step(self, actions):
        reward, is_over, _ = super().step(actions)
        return tuple(self.get_obs()), reward, is_over, False, {"battle_won": not self.enemies}

    @property
    def agents(self):
        return {i: None for i in range(self.n_agents) if self.sim.world.units.alive[0, i]}

    @property
    def enemies(self):
        return {k: None for k in range(self.n_enemies) if self.sim.world.units.alive[0, self.n_agents + k]}


class Recorder:
    """Something like SMAC that only writes down what it is told: all is available but the blocked moves."""

    def __init__(self, n_agents=4, blocked=()):
        self.n_agents, self.n_actions, self.obs_dim, self.state_dim = n_agents, 8, 3, 2
        self.told, self.dead, self.blocked = [], set(), dict(blocked)

    def reset(self, seed):
        self.told, self.dead = [], set()

    def step(self, actions):
        for i, action in enumerate(actions):
            assert self.available()[i][action], (i, action)
        self.told.append(list(actions))
        return SimpleNamespace(reward=0.5, is_over=False, is_late=False, is_won=False)

    def available(self):
        rows = np.ones((self.n_agents, self.n_actions), int)
        rows[:, 0] = 0
        for agent, move in self.blocked.get(len(self.told), ()):
            rows[agent, move] = 0
        for agent in self.dead:
            rows[agent] = [1] + [0] * (self.n_actions - 1)
        return rows

    def obs(self):
        return np.zeros((self.n_agents, 3))

    def state(self):
        return np.zeros(2)

    def n_dead(self):
        return len(self.dead), 0

    def close(self):
        self.told = None
