"""The batch keeps EPyMARL's semantics: by worked example, and against the original where it is at hand."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch as th

from epymarl_lite.components.episode_buffer import EpisodeBatch
from epymarl_lite.components.epsilon_schedules import DecayThenFlatSchedule
from epymarl_lite.components.transforms import OneHot

SCHEME = {
    "state": {"vshape": 2},
    "obs": {"vshape": (3,), "group": "agents"},
    "actions": {"vshape": (1,), "group": "agents", "dtype": th.long},
    "weight": {"vshape": (1,), "episode_const": True},
}
GROUPS = {"agents": 2}
PREPROCESS = {"actions": ("actions_onehot", [OneHot(4)])}


def a_batch(n_episodes=3, n_steps=5, cls=EpisodeBatch, one_hot=OneHot):
    preprocess = {"actions": ("actions_onehot", [one_hot(4)])}
    return cls(SCHEME, GROUPS, n_episodes, n_steps, preprocess=preprocess)


def test_fields_get_the_shape_that_the_scheme_says():
    batch = a_batch()
    shapes = {name: tuple(batch[name].shape) for name in batch.scheme}
    assert shapes == {
        "state": (3, 5, 2),
        "obs": (3, 5, 2, 3),
        "actions": (3, 5, 2, 1),
        "weight": (3, 1),
        "actions_onehot": (3, 5, 2, 4),
        "filled": (3, 5, 1),
    }
    assert batch["actions"].dtype == th.long and batch["state"].dtype == th.float32
    assert "filled" not in SCHEME and "actions_onehot" not in SCHEME


def test_update_writes_the_slot_marks_it_filled_and_derives_the_one_hot():
    batch = a_batch()
    batch.update({"actions": [[3, 1]]}, bs=1, ts=2)
    assert batch["actions"][1, 2].flatten().tolist() == [3, 1]
    assert batch["actions_onehot"][1, 2].tolist() == [[0, 0, 0, 1], [0, 1, 0, 0]]
    assert batch["filled"].sum() == 1 and batch["filled"][1, 2] == 1
    batch.update({"state": th.ones(2, 2)}, bs=[0, 2], ts=4, mark_filled=False)
    assert batch["filled"].sum() == 1
    assert batch["state"][:, 4].tolist() == [[1, 1], [0, 0], [1, 1]]


def test_a_whole_rollout_goes_in_with_one_update():
    batch = a_batch(2, 3)
    filled = th.tensor([[[1], [1], [1]], [[1], [1], [0]]])
    batch.update({"state": th.arange(12.0).view(2, 3, 2), "filled": filled}, mark_filled=False)
    assert batch.max_t_filled() == 3
    assert batch[1].max_t_filled() == 2
    assert batch["state"][1, 0].tolist() == [6, 7]


def test_slices_share_memory_and_lists_of_episodes_copy():
    batch = a_batch()
    batch[1:, :2]["state"].fill_(7)
    assert batch["state"][2, 1].tolist() == [7, 7] and batch["state"][2, 2].tolist() == [0, 0]
    batch[[0, 2]]["state"].fill_(9)
    assert not (batch["state"] == 9).any()
    part = batch[np.array([2, 0]), 1:4]
    assert (part.batch_size, part.max_seq_length) == (2, 3)
    assert (batch[-1].batch_size, batch[0, -1].max_seq_length) == (1, 1)
    assert batch[:, : th.tensor(2)].max_seq_length == 2


def test_some_fields_make_a_batch_of_their_own():
    part = a_batch()[("obs", "weight")]
    assert set(part.scheme) == {"obs", "weight"} and part.groups == {"agents": 2}
    assert part["weight"].shape == (3, 1)


def test_moving_a_slice_leaves_the_whole_where_it_is():
    batch = a_batch()
    part = batch[:, :2]
    part.to(th.device("meta"))
    assert part["obs"].device.type == "meta" and batch["obs"].device.type == "cpu"


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: a_batch().update({"sate": [[0, 0]]}, bs=0, ts=0), KeyError, "unknown field 'sate'.*state"),
        (
            lambda: a_batch().update({"state": [[0, 0, 0]]}, bs=0, ts=0),
            ValueError,
            r"state has shape \(1, 3\), expected",
        ),
        (lambda: a_batch()["sate"], ValueError, "unknown field 'sate'"),
        (lambda: a_batch()[("obs", "sate")], KeyError, "unknown field 'sate'"),
        (lambda: a_batch()[0, [1, 2]], IndexError, "steps must be one index or a slice"),
        (lambda: EpisodeBatch({"filled": {"vshape": 1}}, {}, 1, 1), ValueError, "'filled' is reserved"),
        (lambda: EpisodeBatch({"obs": {}}, {}, 1, 1), ValueError, "no vshape for 'obs'"),
        (
            lambda: EpisodeBatch({"obs": {"vshape": 1, "group": "agent"}}, GROUPS, 1, 1),
            ValueError,
            "Known: agents",
        ),
        (lambda: EpisodeBatch({}, {}, 1, 1, preprocess=PREPROCESS), ValueError, "'actions', which is not in"),
    ],
)
def test_misuse_is_answered_in_words(act, error, text):
    with pytest.raises(error, match=text):
        act()


@pytest.mark.upstream
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # in the original
@pytest.mark.skipif("EPYMARL_HOME" not in os.environ, reason="EPYMARL_HOME names no EPyMARL checkout")
def test_the_original_holds_the_same_after_the_same_random_updates():
    source = Path(os.environ["EPYMARL_HOME"]) / "src" / "components"
    original, transforms = (_load(source / f"{name}.py") for name in ("episode_buffer", "transforms"))
    random = np.random.default_rng(0)
    ours, theirs = a_batch(), a_batch(cls=original.EpisodeBatch, one_hot=transforms.OneHot)
    for _ in range(60):
        bs = [slice(0, 2), [0, 2], 1, slice(None)][random.integers(4)]
        n = (
            {0: 2, 1: 1, 2: 3}[{slice: 2, list: 0, int: 1}[type(bs)]]
            if not isinstance(bs, slice)
            else (len(range(*bs.indices(3))))
        )
        t = int(random.integers(5))
        values = {
            "actions": random.integers(0, 4, (n, 1, 2, 1)).tolist(),
            "state": th.from_numpy(random.normal(size=(n, 2))).float(),
            "weight": random.normal(size=(n, 1)).tolist(),
        }
        chosen = {name: values[name] for name in random.permutation(list(values))[: random.integers(1, 4)]}
        mark = bool(random.integers(2))
        for batch in (ours, theirs):
            batch.update(chosen, bs=bs, ts=t, mark_filled=mark)
    for item in ((slice(None), slice(1, 4)), ([2, 0], slice(None)), 1, slice(1, 3)):
        mine, other = ours[item], theirs[item]
        assert (mine.batch_size, mine.max_seq_length) == (other.batch_size, other.max_seq_length)
        assert mine.max_t_filled() == other.max_t_filled()
        for name in theirs.scheme:
            assert th.equal(mine[name], other[name]) and mine[name].dtype == other[name].dtype


def _load(path):
    spec = importlib.util.spec_from_file_location(f"original_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_schedules_fall_to_their_floor_and_stay():
    linear = DecayThenFlatSchedule(1.0, 0.2, 100, decay="linear")
    assert [linear.eval(t) for t in (0, 50, 100, 900)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    falling = DecayThenFlatSchedule(1.0, 0.01, 100, decay="exp")
    assert [falling.eval(t) for t in (0, 50, 100, 900)] == pytest.approx([1.0, 0.1, 0.01, 0.01])
    with pytest.raises(ValueError, match="decay='lin' is not known"):
        DecayThenFlatSchedule(1.0, 0.2, 100, decay="lin")
    with pytest.raises(ValueError, match="time_length=0"):
        DecayThenFlatSchedule(1.0, 0.2, 0)
