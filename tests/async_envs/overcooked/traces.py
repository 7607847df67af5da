"""Replaying recorded episodes of the original through the kernels."""

import json
import os
from pathlib import Path

import numpy as np

from async_envs.core.simulator import CONTINUE, FIRST_ACTION
from async_envs.overcooked.simulator import make

VARIABLE = "OVERCOOKED_TRACES"  # names another folder of traces
KEPT = Path(__file__).parents[2] / "data" / "overcooked_traces"

# What is compared, in the order in which a first difference tells where to look: the world, then the
# translation of macros, then memory, then what is returned.
WORLD = ("cells", "holding", "board", "plates")
PLANNING = ("prim_actions", "belief")
RETURNED = ("state", "events", "reward", "done", "mac_done", "cur_mac", "obs", "avail")
TOLERANCE = 1e-6  # the recorded floats are rounded to 32 bits


def folder():
    """Where the traces lie."""
    return Path(os.environ.get(VARIABLE) or KEPT)


def files(where):
    """Every trace file of a folder, by name.

    Raises:
        FileNotFoundError: there is none.
    """
    found = sorted(Path(where).glob("*.npz"))
    if not found:
        raise FileNotFoundError(f"{where}: holds no trace (*.npz). Name a folder of traces by {VARIABLE}.")
    return found


class Trace:
    """One file: E episodes one after the other, replayed as one batch."""

    def __init__(self, path):
        with np.load(path) as stored:
            self.arrays = {name: stored[name] for name in stored.files}
        self.name = path.name
        self.meta = json.loads(str(self.arrays["meta"]))
        self.starts = self.arrays["ep_start"]
        self.n_episodes = len(self.starts) - 1
        self.n_steps = int(self.starts[-1])
        self.is_macro = self.meta["env"] == "Overcooked-MA-v1"

    def simulator(self):
        """A batch with one row an episode and the settings of the file."""
        meta = self.meta
        return make(
            f"async:overcooked-{meta['map']}",
            meta["map"],
            self.n_episodes,
            size=meta["grid"],
            n_agents=meta["n_agents"],
            task=meta["task"],
            obs_radius=meta["obs_radius"],
            reward_chop=float(meta["reward_chop"]),
            reward_delivery=float(meta["reward_deliver"]),
            reward_wrong=float(meta["reward_wrong"]),
            reward_step=float(meta["reward_step"]),
            episode_limit=meta["step_limit"],
            actions="macro" if self.is_macro else "primitive",
        )

    def names(self):
        """The recorded arrays that are compared."""
        return WORLD + (PLANNING if self.is_macro else ()) + RETURNED


def shown(sim):
    """What a trace records, of every episode as it stands: name -> [B, ...]. `events` are those of the step."""
    kitchen, _, things, memory, plans = sim.world[:5]
    rows = int(kitchen.row.max()) + 1
    return {
        "cells": things.cells.reshape(sim.batch_size, rows, -1),
        "holding": things.hands,
        "board": things.boards,
        "plates": things.plates,
        "prim_actions": plans.moves,
        "belief": remembered(sim),
        "state": sim.state[:, : sim.obs_dim],
        "reward": sim.reward,
        "done": sim.terminated,
        "mac_done": plans.running == 0,
        "cur_mac": plans.macro,
        "obs": sim.obs,
        # upstream masks nothing; ours shows that a macro runs
        "avail": sim.avail_actions[..., FIRST_ACTION:] | sim.avail_actions[..., CONTINUE, None],
    }


def remembered(sim):
    """[B, N, O] the memory vectors, laid out as observations."""
    kitchen, rules, _, memory = sim.world[:4]
    vectors = np.zeros(sim.obs.shape)
    fixtures = {"knife_1": kitchen.knives[0], "knife_2": kitchen.knives[1], "delivery": kitchen.delivery}
    movable = ["tomato", "lettuce", "onion", "plate_1", "plate_2"] + [f"agent_{k + 1}" for k in range(sim.n_agents)]
    cells = fixtures | {name: memory.places[:, :, e] for e, name in enumerate(movable)}
    for name, cell in cells.items():
        at = sim.obs_names.index(f"{name}.x")
        vectors[..., at : at + 2] = kitchen.share[cell]
    for k, food in enumerate(movable[:3]):
        values = memory.cuts[:, :, k] / 3 / 3.0 ** memory.unseen[:, :, k]
        vectors[..., sim.obs_names.index(f"{food}.chopped")] = values
    vectors[..., sim.obs_dim - 7 + rules.task] = 1.0
    return vectors


def first_difference(trace):
    """None, or a line on the first step and array in which the kernels differ from the file."""
    sim, arrays, starts = trace.simulator(), trace.arrays, trace.starts
    everyone = np.arange(trace.n_episodes)
    sim.reset(everyone)
    names = ("cells", "state", "avail") + (("belief",) if trace.is_macro else ()) + ("obs",)
    found = shown(sim)
    for name in names:
        b = first_row(arrays[f"reset_{name}"], found[name])
        if b is not None:
            return told(trace, b, "reset", name, arrays[f"reset_{name}"][b], found[name][b])
    tally = sim.world.tally
    lengths = np.diff(starts)
    for t in range(int(lengths.max())):
        alive = everyone[lengths > t]
        actions = np.zeros((trace.n_episodes, sim.n_agents), np.int64)
        actions[alive] = arrays["actions"][starts[alive] + t] + FIRST_ACTION
        actions[sim.avail_actions[:, :, CONTINUE] == 1] = CONTINUE
        chops, wrong = tally.chops.copy(), tally.wrong.copy()
        sim.step(actions)
        found = shown(sim)
        found["events"] = np.stack([tally.chops - chops, sim.terminated, tally.wrong - wrong], -1)
        for name in trace.names():
            recorded = arrays[name][starts[alive] + t]
            k = first_row(recorded, found[name][alive])
            if k is not None:
                return told(trace, alive[k], f"step {t}", name, recorded[k], found[name][alive[k]])
    is_over = sim.terminated | sim.truncated
    return None if is_over.all() else f"{trace.name}: episodes {np.flatnonzero(~is_over)} are not over"


def told(trace, b, when, name, recorded, found):
    """The line for a difference."""
    line = f"{trace.name}: episode {b}, {when}, {name}: recorded {recorded.tolist()}, found {found.tolist()}"
    return f"{line} (first array that differs; overcooked.md section 10 says where to look)"


def first_row(recorded, found):
    """Number of the first row in which discrete values differ, or floats by more than the tolerance; or None."""
    assert recorded.shape == found.shape
    if recorded.dtype == np.float64:  # rewards, which we give in 32 bits
        is_same = recorded.astype(np.float32) == found
    elif recorded.dtype == np.float32:
        is_same = abs(recorded - found) <= TOLERANCE
    else:
        is_same = recorded == found
    different = ~is_same.reshape(len(recorded), -1).all(-1)
    return int(different.argmax()) if different.any() else None
