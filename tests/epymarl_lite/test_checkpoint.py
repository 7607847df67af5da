"""Checkpoints are whole, small, and tell when they are not."""

import json
import os
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch as th

from epymarl_lite import checkpoint
from epymarl_lite.checkpoint import (
    CheckpointError,
    CheckpointStore,
    read_checkpoint,
    saved_steps,
    stored_episodes,
)
from epymarl_lite.utils import files
from epymarl_lite.utils.files import WriteError, write_file, write_folder
from epymarl_lite.utils.random_state import random_states, seed_all, set_random_states


class Episodes:
    """A ring of made-up coded episodes; episode n is n+1 bytes of value n."""

    buffer_size = 5

    def __init__(self, n_inserted=0):
        self.n_inserted = n_inserted

    def code_of(self, number):
        assert self.n_inserted - self.buffer_size <= number < self.n_inserted
        return np.full(number + 1, number, np.uint8)


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints")


def fill(store, counts=((10, 2), (20, 4), (30, 9)), buffer=None):
    buffer = Episodes() if buffer is None else buffer
    for t_env, n_inserted in counts:
        buffer.n_inserted = n_inserted
        saved = store.save(t_env, {"weights": th.arange(t_env), "t": t_env}, buffer)
    return saved


def episodes_of(loaded):
    return [(number, code.tolist()) for number, code in stored_episodes(loaded)]


def test_the_newest_checkpoint_gives_back_state_and_episodes(store):
    fill(store)
    loaded = store.load()
    assert loaded.state["t"] == 30 and th.equal(loaded.state["weights"], th.arange(30))
    assert episodes_of(loaded) == [(n, [n] * (n + 1)) for n in range(4, 9)]


def test_only_new_episodes_are_written_and_two_checkpoints_kept(store):
    fill(store)
    assert saved_steps(store.folder) == [30, 20]
    assert sorted(f.name for f in (store.folder / "buffer").iterdir()) == ["0-2.seg", "2-4.seg", "4-9.seg"]
    assert episodes_of(store.load(20)) == [(n, [n] * (n + 1)) for n in range(4)]
    fill(store, [(40, 9), (50, 20)])
    assert sorted(f.name for f in (store.folder / "buffer").iterdir()) == ["15-20.seg", "4-9.seg"]
    assert episodes_of(store.load(40)) == [(n, [n] * (n + 1)) for n in range(4, 9)]


@pytest.mark.parametrize("file", ["30/state.pt", "30/manifest.json", "buffer/4-9.seg"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "empty"])
def test_damage_is_noticed_named_and_the_checkpoint_before_is_taken(store, file, harm, caplog):
    fill(store)
    path = store.folder / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    damaged = {"flip": bytes(content), "cut": bytes(content[:-3]), "empty": b""}
    path.unlink() if harm == "remove" else path.write_bytes(damaged[harm])
    loaded = store.load()
    assert loaded.state["t"] == 20 and str(path) in caplog.text
    assert episodes_of(loaded) == [(n, [n] * (n + 1)) for n in range(4)]


def test_every_single_bit_of_a_manifest_counts(store):
    fill(store, [(10, 2)])
    path = store.folder / "10" / "manifest.json"
    whole = path.read_bytes()
    unnoticed = []
    for position in range(0, len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            if read_checkpoint(store.folder / "10").segments != json.loads(whole)["manifest"]["segments"]:
                unnoticed.append(position)
        except CheckpointError:
            continue
    assert not unnoticed


def test_training_goes_on_from_an_earlier_checkpoint_without_mixing_in_the_later_one(store):
    fill(store)
    second = CheckpointStore(store.folder)
    second.go_on_from(second.load(20))
    assert saved_steps(store.folder) == [20]
    fill(second, [(31, 6)])
    assert episodes_of(second.load()) == [(n, [n] * (n + 1)) for n in range(6)]
    assert not list(store.folder.glob("*.setaside"))


def test_nothing_whole_is_an_error_that_names_the_file(store, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint is there"):
        store.load()
    fill(store, [(10, 2)])
    with pytest.raises(CheckpointError, match="no checkpoint 11 is there"):
        store.load(11)
    (store.folder / "10" / "state.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"state\.pt: damaged .* No earlier checkpoint is whole"):
        store.load()
    with pytest.raises(CheckpointError, match="there is no such folder"):
        checkpoint.find_checkpoints(tmp_path / "nowhere")


def test_another_schema_is_refused(store):
    with mock.patch.object(checkpoint, "SCHEMA", 99):
        fill(store, [(10, 2)])
    with pytest.raises(CheckpointError, match="has schema 99, this version reads 2"):
        store.load()


def test_a_pickle_with_code_in_it_does_not_run(store, tmp_path):
    class Malice:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    store.save(10, {"weights": Malice()})
    with pytest.raises(CheckpointError, match="cannot be read"):
        store.load()
    assert not (tmp_path / "owned").exists()


def test_a_checkpoint_without_the_buffer_has_no_episodes(store):
    store.save(10, {"t": 10})
    assert episodes_of(store.load()) == []


def test_one_failed_write_is_made_good(store, caplog):
    real, failures = os.fsync, [OSError(5, "Input/output error")]

    def fsync(handle):
        if failures:
            raise failures.pop()
        real(handle)

    with mock.patch.object(files, "_WAIT_S", 0), mock.patch.object(files.os, "fsync", fsync):
        fill(store, [(10, 2)])
    assert "trying once more" in caplog.text
    assert store.load().state["t"] == 10


def test_a_full_disk_leaves_the_checkpoint_before_untouched(store):
    fill(store, [(10, 2), (20, 4)])

    def fsync(handle):
        raise OSError(28, "No space left on device")

    with mock.patch.object(files, "_WAIT_S", 0), mock.patch.object(files.os, "fsync", fsync):
        with pytest.raises(WriteError, match=r"could not be written .*No space left.*resume the run"):
            fill(store, [(30, 9)])
    assert store.load().state["t"] == 20
    assert not list(store.folder.glob(".*"))
    fill(CheckpointStore(store.folder), [(40, 9)])
    assert [number for number, _ in episodes_of(store.load(40))] == [4, 5, 6, 7, 8]


def test_a_folder_replaces_the_one_before_as_a_whole(tmp_path):
    write_folder(tmp_path / "a", lambda folder: (folder / "one").write_text("1"))
    write_folder(tmp_path / "a", lambda folder: (folder / "two").write_text("2"))
    assert [f.name for f in tmp_path.iterdir()] == ["a"] and [f.name for f in (tmp_path / "a").iterdir()] == [
        "two"
    ]

    def refuse(folder):
        (folder / "three").write_text("3")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    with mock.patch.object(files, "_WAIT_S", 0), pytest.raises(WriteError, match="PytorchStreamWriter"):
        write_folder(tmp_path / "a", refuse)
    assert [f.name for f in (tmp_path / "a").iterdir()] == ["two"]


def test_a_folder_that_cannot_take_its_place_leaves_the_one_before(tmp_path):
    write_folder(tmp_path / "a", lambda folder: (folder / "one").write_text("1"))
    rename = os.rename

    def refuse(source, target):
        if Path(source).name.startswith(".a.") and Path(source).name != ".a.old":
            raise OSError(5, "Input/output error")
        rename(source, target)

    with mock.patch.object(files, "_WAIT_S", 0), mock.patch.object(files.os, "rename", refuse):
        with pytest.raises(WriteError, match="Input/output error"):
            write_folder(tmp_path / "a", lambda folder: (folder / "two").write_text("2"))
    assert ["a"] == [f.name for f in tmp_path.iterdir()]
    assert ["one"] == [f.name for f in (tmp_path / "a").iterdir()]


def test_a_file_is_replaced_or_kept(tmp_path):
    write_file(tmp_path / "new" / "a", b"1")
    write_file(tmp_path / "new" / "a", b"2")
    assert (tmp_path / "new" / "a").read_bytes() == b"2" and len(list((tmp_path / "new").iterdir())) == 1


def test_random_streams_go_on_where_they_stood(tmp_path):
    import random

    def draws():
        return [random.gauss(0, 1), random.random(), *np.random.normal(size=3), *th.rand(3).tolist()]

    seed_all(3)
    draws()
    th.save(random_states(), tmp_path / "states")
    expected = draws()
    seed_all(4)
    assert draws() != expected
    set_random_states(th.load(tmp_path / "states", weights_only=True))
    assert draws() == expected
