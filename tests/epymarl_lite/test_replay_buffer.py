"""The compact replay buffer gives back, bit for bit, what was put in."""

from unittest import mock

import numpy as np
import pytest
import torch as th
from hypothesis import given
from hypothesis import strategies as st

from epymarl_lite.components import memory
from epymarl_lite.components.episode_buffer import EpisodeBatch, PlainReplayBuffer, ReplayBuffer
from epymarl_lite.components.replay_buffer import predicted_bytes
from epymarl_lite.components.transforms import OneHot

N, A, T = 2, 3, 9
SCHEME = {
    "state": {"vshape": 4},
    "obs": {"vshape": 3, "group": "agents"},
    "actions": {"vshape": (1,), "group": "agents", "dtype": th.long},
    "avail_actions": {"vshape": (A,), "group": "agents", "dtype": th.int},
    "terminated": {"vshape": (1,), "dtype": th.uint8},
    "reward": {"vshape": (1,)},
    "half": {"vshape": (1,), "dtype": th.float16},
    "weight": {"vshape": (2,), "episode_const": True},
}
GROUPS = {"agents": N}
PREPROCESS = {"actions": ("actions_onehot", [OneHot(A)])}
ODD_FLOATS = np.array([np.nan, -np.nan, np.inf, -0.0, 0.0, 1e-45, 1.0, -1.5], np.float32)


def a_buffer(size=8, cls=ReplayBuffer, **options):
    return cls(SCHEME, GROUPS, size, T, preprocess=PREPROCESS, **options)


def a_batch(random, n_episodes=1, lengths=None, values=ODD_FLOATS, n_steps=T):
    """Random episodes; `values` is what floats are drawn from."""
    batch = EpisodeBatch(SCHEME, GROUPS, n_episodes, n_steps, preprocess=PREPROCESS)
    for b in range(n_episodes):
        length = n_steps if lengths is None else lengths[b]
        batch.update(
            {
                "state": random.choice(values, (1, length, 4)),
                "obs": random.choice(values, (1, length, N, 3)),
                "actions": random.integers(0, A, (1, length, N, 1)),
                "avail_actions": random.integers(0, 2, (1, length, N, A)),
                "terminated": random.integers(0, 256, (1, length, 1)),
                "reward": random.choice(values, (1, length, 1)),
                "half": random.integers(-3, 3, (1, length, 1)).astype(np.float16),
                "weight": random.choice(values, (1, 2)),
            },
            bs=b,
            ts=slice(0, length),
        )
    return batch


def assert_same_bits(expected, actual, n_steps=None):
    for name in expected.scheme:
        left, right = expected[name], actual[name]
        if n_steps is not None and not expected.scheme[name].get("episode_const"):
            left = left[:, :n_steps]
        assert left.dtype == right.dtype and left.shape == right.shape, name
        assert left.contiguous().numpy().tobytes() == right.contiguous().numpy().tobytes(), name


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, T), min_size=1, max_size=4),
    values=st.lists(st.floats(width=32, allow_nan=True), min_size=1, max_size=40),
)
def test_what_comes_out_is_what_went_in(seed, lengths, values):
    batch = a_batch(np.random.default_rng(seed), len(lengths), lengths, np.array(values, np.float32))
    buffer = a_buffer()
    buffer.insert_episode_batch(batch)
    assert_same_bits(batch, buffer.episodes(range(len(lengths))), n_steps=max(lengths))


@pytest.mark.parametrize("n_values", [1, 2, 3, 4, 5, 16, 17, 255, 256, 400])
def test_every_width_of_code_is_lossless(n_values):
    """Columns with n different values: constant, 1, 2, 4, 8 bits, and stored as they are."""
    scheme = {"state": {"vshape": 8}}
    batch = EpisodeBatch(scheme, {}, 1, 4000)
    column = np.arange(4000) % n_values * np.float32(0.1)
    batch.update({"state": np.stack([np.roll(column, k) for k in range(8)], axis=1)[None]})
    buffer = ReplayBuffer(scheme, {}, 1, 4000)
    buffer.insert_episode_batch(batch)
    assert_same_bits(batch, buffer.sample(1))
    bits = {1: 0, 2: 1, 3: 2, 4: 2, 5: 4, 16: 4, 17: 8, 255: 8}.get(n_values, 32)
    codes, tables = 4000 * bits, 8 * 4 * n_values * (bits < 32)
    assert codes <= buffer.n_bytes <= codes + tables + 64


def test_padding_is_not_stored_even_where_the_one_hot_of_action_0_fills_it():
    """A rollout written with one update leaves one-hot rows of action 0 behind the end."""
    random = np.random.default_rng(0)
    sizes = []
    for n_steps in (T, 600):
        batch = a_batch(random, lengths=[5], n_steps=n_steps)
        batch["actions_onehot"][:, 5:] = th.tensor([1.0, 0.0, 0.0])
        buffer = ReplayBuffer(SCHEME, GROUPS, 1, n_steps, preprocess=PREPROCESS)
        buffer.insert_episode_batch(batch)
        assert_same_bits(batch, buffer.sample(1), n_steps=5)
        sizes.append(buffer.n_bytes)
    assert sizes[1] < 1.5 * sizes[0]


def test_the_ring_replaces_the_oldest_as_the_plain_buffer_does():
    random = np.random.default_rng(1)
    compact, plain = a_buffer(5, seed=3), a_buffer(5, PlainReplayBuffer, seed=3)
    for n_episodes in (3, 4, 1, 5, 2):
        batch = a_batch(random, n_episodes, random.integers(1, T + 1, n_episodes))
        for buffer in (compact, plain):
            buffer.insert_episode_batch(batch)
    assert (
        (compact.buffer_index, compact.episodes_in_buffer)
        == (0, 5)
        == (plain.buffer_index, plain.episodes_in_buffer)
    )
    for _ in range(5):
        left, right = compact.sample(3), plain.sample(3)
        assert_same_bits(right[:, : right.max_t_filled()], left)
    assert compact.n_bytes == sum(compact.code_of(number).nbytes for number in range(5))


def test_a_sample_reaches_to_the_longest_episode_and_no_further():
    random = np.random.default_rng(2)
    buffer = a_buffer()
    buffer.insert_episode_batch(a_batch(random, 2, [9, 9]))
    assert buffer.sample(2).max_seq_length == 9
    buffer.insert_episode_batch(a_batch(random, 3, [3, 6, 2]))
    short = buffer.episodes([2, 3])
    assert short.max_seq_length == 6 == short.max_t_filled()
    assert not short["state"][0, 3:].any() and not short["filled"][0, 3:].any()


def test_episodes_of_a_shorter_batch_are_followed_by_zeros():
    random = np.random.default_rng(3)
    buffer = a_buffer()
    buffer.insert_episode_batch(a_batch(random, 2))
    buffer.sample(2)  # leaves its rows in the batch that the next sample reuses
    short = a_batch(random, n_steps=5)
    buffer.insert_episode_batch(short)
    sample = buffer.episodes([0, 2])
    assert sample.max_seq_length == 9
    assert_same_bits(short, sample[1:, :5])
    assert not sample["obs"][1, 5:].any() and not sample["filled"][1, 5:].any()


def test_sampling_depends_on_its_own_seed_alone():
    def slots(seed, disturb=False):
        buffer = a_buffer(8, seed=seed)
        buffer.insert_episode_batch(a_batch(np.random.default_rng(0), 8, range(1, 9)))
        if disturb:
            np.random.rand(), th.rand(1)
        return [buffer.sample(3)["filled"].sum(1).flatten().tolist() for _ in range(10)]

    assert slots(5) == slots(5, disturb=True) != slots(6)


def test_every_episode_is_sampled_about_equally_often_and_never_twice_in_one_batch():
    buffer = a_buffer(8)
    buffer.insert_episode_batch(a_batch(np.random.default_rng(0), 8, range(1, 9)))
    counts = np.zeros(9)
    for _ in range(800):
        lengths = buffer.sample(2)["filled"].sum(1).flatten().tolist()
        assert lengths[0] != lengths[1]
        counts[lengths] += 1
    # 200 each expected; the deviation of one count is sqrt(800 * 1/4 * 3/4) = 12.2
    assert np.abs(counts[1:] - 200).max() < 5 * 12.2


@pytest.mark.parametrize("cls", [ReplayBuffer, PlainReplayBuffer])
def test_a_restored_buffer_samples_what_the_first_one_would_have(cls):
    random = np.random.default_rng(4)
    first, second = a_buffer(5, cls, seed=1), a_buffer(5, cls, seed=99)
    first.insert_episode_batch(a_batch(random, 7, random.integers(1, T + 1, 7)))
    first.sample(3)
    second.load_resume_state(first.resume_state())
    for number in range(2, 7):
        second.put_code(number, first.code_of(number))
    for _ in range(3):
        batch = a_batch(random, 2)
        first.insert_episode_batch(batch)
        second.insert_episode_batch(batch)
        left, right = first.sample(3), second.sample(3)
        assert_same_bits(left, right)


def test_asking_for_too_many_or_giving_too_long_episodes_is_refused():
    buffer = a_buffer(4)
    assert not buffer.can_sample(1)
    with pytest.raises(ValueError, match="1 episodes were asked for, 0 are there"):
        buffer.sample(1)
    with pytest.raises(ValueError, match="10 steps, at most 9 fit"):
        buffer.insert_episode_batch(a_batch(np.random.default_rng(0), n_steps=10))
    with pytest.raises(ValueError, match="buffer_size=0"):
        a_buffer(0)


def test_the_plain_size_is_predicted_to_the_byte():
    plain = a_buffer(6, PlainReplayBuffer)
    fields = {name: plain.batch[name] for name in SCHEME if name != "weight"} | {
        name: plain.batch[name] for name in ("actions_onehot", "filled")
    }
    expected = sum(value.numel() * value.element_size() for value in fields.values())
    scheme = {name: info for name, info in SCHEME.items() if name != "weight"}
    assert expected == predicted_bytes(scheme, GROUPS, PREPROCESS, 6, T, 10**9, compact=False)


def test_a_short_run_is_not_refused_for_a_buffer_it_cannot_fill():
    def size(steps):
        return predicted_bytes(SCHEME, GROUPS, PREPROCESS, 5000, 601, steps, compact=True)

    assert size(10**9) > 100 * size(10_000)


def test_a_buffer_above_the_memory_is_refused_with_one_that_fits():
    with mock.patch.object(memory, "available_bytes", return_value=2**30):
        with pytest.raises(
            ValueError, match=r"5000 episodes need about 4\.0 GiB .* 1\.0 GiB are free.*=1125 or less"
        ):
            memory.check_fits(4 * 2**30, 5000)
        memory.check_fits(2**29, 5000)


def test_the_first_episodes_tell_when_the_prediction_was_too_kind():
    random = np.random.default_rng(0)
    buffer = a_buffer(100_000)
    many = random.normal(size=10_000).astype(np.float32)
    with mock.patch.object(memory, "available_bytes", return_value=10 * 2**20):
        buffer.insert_episode_batch(a_batch(random, 31, values=many))
        with pytest.raises(ValueError, match="Set buffer_size="):
            buffer.insert_episode_batch(a_batch(random, 1, values=many))


def test_a_control_group_limits_the_memory(tmp_path):
    limit, used = tmp_path / "max", tmp_path / "current"
    limit.write_text("1000\n")
    used.write_text("400\n")
    with mock.patch.object(memory, "_CGROUP_FILES", ((str(limit), str(used)),)):
        assert memory.available_bytes() == 600
        limit.write_text("max\n")
        assert memory.available_bytes() > 1000
