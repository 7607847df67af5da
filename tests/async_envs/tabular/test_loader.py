"""Users' own tasks from JSON and NPZ: they come back as they were written, and bad files are one line."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_envs.tabular import loader
from async_envs.tabular.loader import FIELDS, REQUIRED, load_task
from tests.async_envs.tabular.tasks import arrays, assert_same, errands, written
from tests.theory.strategies import Parts, parts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tasks")


def json_file(folder, content, name="task.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def npz_file(folder, content, name="task.npz", save=np.savez):
    path = folder / name
    save(path, **content)
    return path


@given(task=parts().map(Parts.task))
def test_a_task_comes_back_from_both_formats_as_it_was(folder, task):
    assert_same(task, load_task(json_file(folder, written(task))))
    assert_same(task, load_task(npz_file(folder, arrays(task))))


def test_compressed_files_and_any_ending_are_read(folder):
    """The first bytes tell the format, not the name."""
    path = npz_file(folder, arrays(errands()), save=np.savez_compressed)
    assert_same(errands(), load_task(path))
    other = folder / "task"
    other.write_bytes(path.read_bytes())
    assert_same(errands(), load_task(str(other)))


def test_the_home_folder_may_be_written_short(folder, monkeypatch):
    json_file(folder, written(errands()), "mine.json")
    monkeypatch.setenv("HOME", str(folder))
    assert_same(errands(), load_task("~/mine.json"))


def test_the_fields_are_those_of_make_task():
    assert REQUIRED == (
        "transitions", "rewards", "durations", "observations", "start", "episode_limit"
    )  # fmt: skip
    assert set(FIELDS) == set(arrays(errands()))


def refusal(path):
    with pytest.raises(ValueError) as caught:
        load_task(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and "\n" not in told, told
    return told


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_named(folder, field):
    left = {name: value for name, value in written(errands()).items() if name != field}
    assert f"the field {field} is missing. Needed are transitions, " in refusal(json_file(folder, left))


def test_an_unknown_field_is_named_with_the_nearest(folder):
    given = written(errands())
    given["durration"] = given.pop("durations")
    line = "unknown field 'durration'. Did you mean 'durations'"
    assert line in refusal(json_file(folder, given))
    assert line in refusal(npz_file(folder, arrays(errands()) | {"durration": 1}))


@pytest.mark.parametrize(
    "content, line",
    [
        ("", "neither JSON nor NPZ (Expecting value: line 1 column 1"),
        ("{", "neither JSON nor NPZ (Expecting property name"),
        ("transitions: []", "neither JSON nor NPZ ("),
        ("[1, 2]", "the JSON holds a list, an object is expected."),
        ("7", "the JSON holds a int, an object is expected."),
        ("null", "the JSON holds a NoneType, an object is expected."),
        ("{}", "the field transitions is missing."),
        ('{"start": 0, "start": 1}', "neither JSON nor NPZ (field 'start' is given twice)"),
        ("[" * 200_000, "neither JSON nor NPZ ("),
        ('{"start": 1' + "0" * 5000 + "}", "neither JSON nor NPZ ("),
    ],
)
def test_what_is_no_task_in_json_is_one_line(folder, content, line):
    assert line in refusal(json_file(folder, content))


def test_bytes_that_are_no_text_are_one_line(folder):
    path = folder / "bytes"
    path.write_bytes(b"\xff\xfe\x00\x9f" * 10)
    assert "neither JSON nor NPZ (" in refusal(path)


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"transitions": [[[0.5]]]}, "transitions has shape (1, 1, 1), expected 4 axes"),
        ({"durations": [[1, 0], [1, 1]]}, "durations[0, 1] is 0, a whole number of at least 1"),
        ({"start": 2}, "start gives state 2 a chance, which is terminal"),
        ({"start": None}, "start holds something other than numbers"),
        ({"episode_limit": 0}, "episode_limit is 0"),
        ({"discount": 1}, "discount is 1, a number from 0 to below 1"),
        ({"rewards": [[1, 2], [3]]}, "rewards has rows of different lengths"),
        ({"observations": "seen"}, "observations holds text"),
        ({"action_names": {"wait": 1}}, "action_names is {'wait': 1}, 2 different printable texts"),
        ({"state_is_shown": "yes"}, "state_is_shown is 'yes', True or False"),
    ],
)
def test_a_task_that_is_not_accepted_names_file_and_field(folder, changes, line):
    assert line in refusal(json_file(folder, written(errands()) | changes))


def test_a_row_that_does_not_sum_to_one_is_named_in_both_formats(folder):
    given = arrays(errands())
    given["transitions"][1, 2, 3] = [0.5, 0.25, 0.0]
    line = "row transitions[1, 2, 3] sums to 0.75, expected 1."
    assert line in refusal(npz_file(folder, given))
    given["transitions"] = given["transitions"].tolist()
    assert line in refusal(json_file(folder, written(errands()) | {"transitions": given["transitions"]}))


def test_numbers_that_are_none_in_json_are_named(folder):
    text = json.dumps(written(errands()))
    told = refusal(json_file(folder, text.replace('"discount": 0.9', '"discount": NaN')))
    assert "discount is nan, a finite number" in told
    told = refusal(json_file(folder, text.replace("0.25", "Infinity", 1)))
    assert "durations[1, 1, 1] is inf, a finite number" in told


def test_files_that_cannot_be_read_are_one_line(folder):
    assert "there is no such file. Give the path" in refusal(folder / "nowhere.json")
    assert "there is no such file" in refusal(folder / "no" / "where.json")
    assert "the file cannot be read (it is no file)" in refusal(folder)
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    assert "the file cannot be read (it is no file)" in refusal(pipe)
    plain = json_file(folder, "{}")
    assert "the file cannot be read (Not a directory)" in refusal(plain / "task.json")


def test_a_file_that_is_too_large_is_refused_unread(folder, monkeypatch):
    monkeypatch.setattr(loader, "LARGEST_FILE", 1000)
    path = json_file(folder, written(errands()))
    assert f"the file holds {path.stat().st_size:,} bytes, at most 1,000 are accepted." in refusal(path)
    packed = npz_file(folder, {"transitions": np.zeros(5000)}, save=np.savez_compressed)
    assert packed.stat().st_size < 1000
    assert "bytes, at most 1,000 are accepted." in refusal(packed)


class Trap:
    """Running this is what reading a pickle may do."""

    def __reduce__(self):
        return (os.mkdir, ("/nonexistent/trap",))


def test_pickles_are_not_opened(folder):
    trap = np.array([Trap()], dtype=object)
    told = refusal(npz_file(folder, arrays(errands()) | {"rewards": trap}))
    assert "array rewards cannot be read (Object arrays cannot be loaded when allow_pickle=False)" in told


def with_member(folder, name, content):
    """A good NPZ with one member replaced by other bytes."""
    good = io.BytesIO()
    np.savez(good, **arrays(errands()))
    path = folder / "member.npz"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for member in source.namelist():
            target.writestr(member, content if member == name else source.read(member))
    return path


def test_members_that_are_no_arrays_are_one_line(folder):
    assert "array rewards cannot be read (not an array" in refusal(with_member(folder, "rewards.npy", b"text"))
    cut = io.BytesIO()
    np.save(cut, np.zeros(100))
    assert "array rewards cannot be read (" in refusal(with_member(folder, "rewards.npy", cut.getvalue()[:300]))


def test_a_header_that_promises_more_than_there_is_is_one_line(folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)}
    )  # fmt: skip
    told = refusal(with_member(folder, "rewards.npy", header.getvalue()))
    assert "array rewards cannot be read (" in told


@given(st.data())
def test_damaged_files_are_a_task_or_one_line(folder, data):
    """Bytes changed and files cut short anywhere."""
    path = npz_file(folder, arrays(errands()), save=np.savez_compressed)
    whole = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    try:
        load_task(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
