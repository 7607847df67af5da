"""A slow twin of the tabular family in plain Python, written from the rules (README.md), not from the kernels.

One episode; lists instead of arrays, names instead of indices. It draws from the same random stream in the
order that the rules give, so that it must agree with the kernels on everything.
"""


class Stream:
    """SplitMix64 on Python's whole numbers."""

    def __init__(self, seed):
        self.state = seed

    def chance(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        z ^= z >> 31
        return (z >> 11) / 2**53

    def outcome(self, row):
        """Of a row of probabilities: the first outcome whose sum up to it is above a drawn chance."""
        chance, total, possible = self.chance(), 0.0, None
        for k, probability in enumerate(row):
            total += probability
            if probability > 0:
                possible = k
                if chance < total:
                    break
        return possible


class Episode:
    """One episode of a `TabularTask`."""

    def __init__(self, task, seed):
        self.task = task
        self.names = list(task.action_names)
        self.agents = range(len(task.durations.tolist()))
        self.stream = Stream(seed)
        self.t, self.total, self.discounted, self.reward = 0, 0.0, 0.0, 0.0
        self.terminated = self.truncated = False
        self.doing = [None for _ in self.agents]  # [name, steps left]
        self.state = self.stream.outcome(task.start.tolist())
        self.look()

    def look(self):
        self.seen = [self.stream.outcome(self.task.observations[self.state, i].tolist()) for i in self.agents]

    def is_inactive(self, i):
        return bool(self.task.terminal[self.state]) or bool(self.task.inactive[self.state, i])

    def available(self, i):
        if self.is_inactive(i):
            return ["noop"]
        if self.doing[i]:
            return ["continue"]
        return [name for k, name in enumerate(self.names) if self.task.available[self.state, i, k]]

    def step(self, chosen):
        task = self.task
        for i, name in enumerate(chosen):
            if name in self.names:
                row = task.durations[i, self.names.index(name)].tolist()
                self.doing[i] = [name, self.stream.outcome(row) + 1]
        activities = []
        for ongoing in self.doing:
            if ongoing is None:
                activities.append(0)
            else:
                name, left = ongoing
                activities.append(self.names.index(name) + (len(self.names) if left == 1 else 0))
        self.reward = float(task.rewards[(self.state, *activities)])
        self.total += self.reward
        self.discounted += task.discount**self.t * self.reward
        self.state = self.stream.outcome(task.transitions[(self.state, *activities)].tolist())
        for i in self.agents:
            if self.doing[i]:
                self.doing[i][1] -= 1
                is_over = self.doing[i][1] == 0 or task.interrupts[self.state, i] or self.is_inactive(i)
                self.doing[i] = None if is_over else self.doing[i]
        self.t += 1
        self.terminated = bool(task.terminal[self.state])
        self.truncated = not self.terminated and self.t == task.episode_limit
        self.look()

    def ongoing_features(self, i):
        name, left = self.doing[i] or (None, 0)
        return [float(name == other) for other in self.names] + [left / self.task.durations.shape[2]]

    def observation(self, i):
        n_seen = self.task.observations.shape[2]
        return [float(self.seen[i] == k) for k in range(n_seen)] + self.ongoing_features(i)

    def full_state(self):
        features = [float(self.state == k) for k in range(len(self.task.terminal))]
        if self.task.state_is_shown:
            for i in self.agents:
                features += self.ongoing_features(i)
        return features + [self.t / self.task.episode_limit]

    def metrics(self, best=None):
        over = self.terminated or self.truncated
        told = {"discounted_return": self.discounted if over else 0.0}
        if best is not None:
            told["optimal"] = float(over and self.total >= best - 1e-9 * max(1.0, abs(best)))
        return told
