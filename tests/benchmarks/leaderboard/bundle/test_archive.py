"""Bundles that were made to do harm: each is refused before it is unpacked, with its reason."""

import io
import json
import os
import pickle
import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.leaderboard.bundle.archive import open_archive
from benchmarks.leaderboard.bundle.limits import MIB, Limits
from benchmarks.leaderboard.bundle.manifest import make_manifest, open_files
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.bundle.zipped import ZipArchive
from tests.benchmarks.leaderboard.bundle.builders import zip_with

NEEDED = [("bundle.json", b"{}\n"), ("claims.json", b"{}\n"), ("manifest.json", b"{}\n")]
RUN = "runs/async-poac-1/mvd/seed-1"
BOMB = 10 * 10**9  # bytes of zeros


class Exploit:
    """Runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("it-ran",)


def refusal(path: Path, limits: Limits | None = None) -> str:
    """Why a bundle is refused when it is opened and everything in it read."""
    with pytest.raises(Refused) as caught:
        with open_archive(path, limits or Limits()) as archive:
            for name in archive.sizes:
                archive.read(name)
    return str(caught.value)


def both(tmp_path: Path, name: str, data: bytes) -> list[Path]:
    """A zip file and a folder with one file more."""
    folder = tmp_path / "folder"
    for each, content in [*NEEDED, (name, data)]:
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).write_bytes(content)
    return [zip_with([*NEEDED, (name, data)], tmp_path / "bundle.zip"), folder]


@pytest.mark.parametrize("name", ["extra.json", "runs/readme.md", f"{RUN}/optimiser.json", "runs/a/b/seed-01/run.json"])
def test_a_file_that_no_bundle_has_is_refused(name: str, tmp_path: Path) -> None:
    for path in both(tmp_path, name, b"{}"):
        assert refusal(path) == f"{name}: not a file that a bundle has. Take it out."


@pytest.mark.parametrize("name", ["agent.pkl", f"{RUN}/agent.th", f"{RUN}/agent.PT", "runs/x.npy"])
def test_a_pickle_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    for path in both(tmp_path, name, pickle.dumps(Exploit())):
        assert "pickled data can run code" in refusal(path)


@pytest.mark.parametrize("name", [f"{RUN}/agent.safetensors", f"{RUN}/run.json", f"{RUN}/tests.jsonl"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_by_its_first_bytes(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in both(tmp_path, name, pickle.dumps(Exploit(), protocol)):
        assert "begins as pickled data does" in refusal(path)
    assert not (tmp_path / "it-ran").exists()


def test_torchs_own_files_are_refused_by_their_first_bytes(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, stream)
    for path in both(tmp_path, f"{RUN}/agent.safetensors", stream.getvalue()):
        assert "begins as pickled data does" in refusal(path)


def test_a_length_that_looks_like_a_pickle_is_no_pickle(tmp_path: Path) -> None:
    """A safetensors header of 640 bytes begins with 0x80 0x02."""
    data = struct.pack("<Q", 0x280) + b'{"a":' + b" " * 700
    for path in both(tmp_path, f"{RUN}/agent.safetensors", data):
        with open_archive(path) as archive:
            assert archive.read(f"{RUN}/agent.safetensors") == data


@pytest.mark.parametrize(
    "name", ["../outside.json", "runs/../../outside.json", "/etc/outside.json", "\\outside.json", "C:/outside.json",
             "runs\\..\\..\\outside.json"],
)  # fmt: skip
def test_a_name_that_leads_outside_is_refused(name: str, tmp_path: Path) -> None:
    path = zip_with([*NEEDED, (name, b"{}")], tmp_path / "bundle.zip")
    assert "a name that leads out of the bundle" in refusal(path)
    assert sorted(os.listdir(tmp_path)) == ["bundle.zip"]


@pytest.mark.parametrize("name", ["<script>1</script>.json", "run\x1b[31m.json", "run\u202egnosj.json", "rün.json"])
def test_a_name_with_other_characters_is_refused_and_shown_harmlessly(name: str, tmp_path: Path) -> None:
    said = refusal(zip_with([*NEEDED, (name, b"{}")], tmp_path / "bundle.zip"))
    assert "characters that are not accepted" in said
    assert "\x1b" not in said and "\u202e" not in said


def test_a_link_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    folder = both(tmp_path, f"{RUN}/run.json", b"{}")[1]
    (folder / RUN / "tests.jsonl").symlink_to(secret)
    assert refusal(folder) == f"{RUN}/tests.jsonl: a link, expected plain files."
    (folder / RUN / "tests.jsonl").unlink()
    (folder / "runs" / "other").symlink_to(tmp_path, target_is_directory=True)
    assert refusal(folder) == "runs/other: a link, expected plain files."

    member = zipfile.ZipInfo(f"{RUN}/run.json")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zip_with([*NEEDED, (member, b"/etc/passwd")], tmp_path / "link.zip")
    assert refusal(path) == f"{RUN}/run.json: a link, expected plain files."


def test_a_file_that_becomes_a_link_after_opening_is_refused(tmp_path: Path) -> None:
    folder = both(tmp_path, f"{RUN}/run.json", b"{}")[1]
    with open_archive(folder) as archive:
        (folder / RUN / "run.json").unlink()
        (folder / RUN / "run.json").symlink_to("/etc/hostname")
        with pytest.raises(Refused, match="cannot be read"):
            archive.read(f"{RUN}/run.json")


@pytest.mark.parametrize("data", [b"", b"{", b"{} ", b"{}" * MIB])
def test_a_file_that_changes_its_size_after_opening_is_refused(data: bytes, tmp_path: Path) -> None:
    folder = both(tmp_path, f"{RUN}/run.json", b"{}")[1]
    with open_archive(folder) as archive:
        (folder / RUN / "run.json").write_bytes(data)
        with pytest.raises(Refused, match="bytes were read, 2 were declared"):
            archive.read(f"{RUN}/run.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    folder = both(tmp_path, f"{RUN}/run.json", b"{}")[1]
    os.mkfifo(folder / RUN / "tests.jsonl")
    assert refusal(folder) == f"{RUN}/tests.jsonl: neither a plain file nor a folder."


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = zip_with([*NEEDED, ("claims.json", b"[]")], tmp_path / "twice.zip")
    assert refusal(twice) == "claims.json: there twice."
    name = f"{RUN}/run.json"
    case = zip_with([*NEEDED, (name, b"{}"), (name.replace("mvd", "MVD"), b"{}")], tmp_path / "case.zip")
    assert "there twice to file systems that do not tell it from" in refusal(case)


def a_bomb(path: Path, n_bytes: int = BOMB, declared: int | None = None) -> Path:
    """A zip file whose claims are `n_bytes` zeros in a thousandth of the space; it says that they are `declared`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)  # the same wherever it stands
    data = block * (n_bytes // (16 * MIB)) + packer.flush()
    path.write_bytes(raw_zip([("bundle.json", b"\x03\x00", 0), ("manifest.json", b"\x03\x00", 0),
                              ("claims.json", data, n_bytes if declared is None else declared)]))  # fmt: skip
    return path


def raw_zip(members: list[tuple[str, bytes, int]]) -> bytes:
    """A zip file of (name, deflated bytes, size that is said), whether or not it is true."""
    body, directory = b"", b""
    for name, data, size in members:
        extra = struct.pack("<HHQ", 1, 8, size) if size > 0xFFFFFFFF else b""
        sizes = (0, len(data), min(size, 0xFFFFFFFF), len(name))
        fields = (45, 45, 0, 8, 0, 33, *sizes, len(extra), 0, 0, 0, 0, len(body))
        entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fields)
        directory += entry + name.encode() + extra
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, 8, 0, 33, *sizes, 0) + name.encode() + data
    n = len(members)
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, n, n, len(directory), len(body), 0)


def least_memory(path: Path) -> tuple[str, int]:
    """Why a bundle is refused, and the most bytes held while it was."""
    tracemalloc.start()
    try:
        return refusal(path), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_gigabytes_of_zeros_are_refused_unread(tmp_path: Path) -> None:
    path = a_bomb(tmp_path / "bomb.zip")
    assert path.stat().st_size < 10 * MIB
    said, memory = least_memory(path)
    assert said.startswith("claims.json: 9,537 MiB when unpacked, expected at most 16 MiB.")
    assert memory < MIB


def test_the_bomb_is_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(a_bomb(tmp_path / "bomb.zip")) as file, file.open("claims.json") as zeros:
        assert file.getinfo("claims.json").file_size == BOMB
        assert zeros.read(100 * MIB) == bytes(100 * MIB)


def test_zeros_that_say_they_are_few_are_refused_while_reading(tmp_path: Path) -> None:
    said, memory = least_memory(a_bomb(tmp_path / "bomb.zip", declared=1000))
    assert said.startswith("claims.json: it cannot be read") and "its sizes are not true" in said
    assert memory < 4 * MIB


def test_many_files_are_refused_before_their_names_are_read(tmp_path: Path) -> None:
    members = [(f"runs/async-poac-1/mvd/seed-{k}/run.json", b"") for k in range(30)]
    path = zip_with([*NEEDED, *members], tmp_path / "many.zip")
    assert refusal(path, Limits(files=20)) == "33 files, expected at most 20."
    folder = tmp_path / "folder"
    for name, data in [*NEEDED, *members]:
        (folder / str(name)).parent.mkdir(parents=True, exist_ok=True)
        (folder / str(name)).write_bytes(data)
    assert refusal(folder, Limits(files=20)) == "more than 20 files, expected at most 20."


def test_all_files_together_may_not_be_too_large(tmp_path: Path) -> None:
    for path in both(tmp_path, f"{RUN}/tests.jsonl", b"1\n" * 300):
        assert refusal(path, Limits(total=500)) == "609 bytes when unpacked, expected at most 500 bytes."
    assert "the zip file has" in refusal(tmp_path / "bundle.zip", Limits(packed=100))


def test_bytes_that_belong_to_no_member_are_refused(tmp_path: Path) -> None:
    good = zip_with(NEEDED, tmp_path / "good.zip").read_bytes()
    end = struct.Struct("<4s4H2LH")
    *head, length, offset, comment = end.unpack(good[-end.size:])
    shifted = end.pack(*head, length, offset + 4, comment)
    bad = {
        "before": b"#!ab" + good,
        "behind": good + b"more",
        "between": good[:offset] + b"more" + good[offset:-end.size] + shifted,
        "short": good[:-1],
        "nothing": b"",
        "text": b"this is text, and longer than the end of a zip file would be",
    }
    for name, data in bad.items():
        path = tmp_path / f"{name}.zip"
        path.write_bytes(data)
        assert "zip file" in refusal(path), name


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """As in the bombs whose members overlap: the directory names one place twice."""
    path = zip_with([*NEEDED, (f"{RUN}/run.json", b"{}")], tmp_path / "bundle.zip")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 42 : at + 46] = struct.pack("<L", 0)
    path.write_bytes(data)
    assert "bytes that belong to no member" in refusal(path)


@pytest.mark.parametrize(
    "kind, change",
    [
        ("encrypted", lambda member: setattr(member, "flag_bits", 1)),
        ("comment", lambda member: setattr(member, "comment", b"hello")),
        ("extra", lambda member: setattr(member, "extra", b"\x99\x99\x00\x00")),
        ("compression", lambda member: setattr(member, "compress_type", zipfile.ZIP_LZMA)),
        ("device", lambda member: setattr(member, "external_attr", stat.S_IFCHR << 16)),
    ],
)
def test_a_member_of_another_form_is_refused(kind: str, change: Any, tmp_path: Path) -> None:
    member = zipfile.ZipInfo(f"{RUN}/run.json")
    change(member)
    if kind == "encrypted":
        path = zip_with([*NEEDED, (f"{RUN}/run.json", b"{}")], tmp_path / "bundle.zip")
        data = bytearray(path.read_bytes())
        data[data.rindex(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(data)
    else:
        path = zip_with([*NEEDED, (member, b"{}")], tmp_path / "bundle.zip")
    assert "in a form that submit does not write" in refusal(path)


def test_an_entry_for_a_folder_is_refused(tmp_path: Path) -> None:
    path = zip_with([*NEEDED, ("runs/", b"")], tmp_path / "bundle.zip")
    assert "an entry for a folder" in refusal(path)


def test_folders_in_folders_are_not_followed_for_ever(tmp_path: Path) -> None:
    folder = both(tmp_path, f"{RUN}/run.json", b"{}")[1]
    (folder / "/".join(["deep"] * 40)).mkdir(parents=True)
    assert "lie in each other more than 8 deep" in refusal(folder)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing.zip").endswith("Name a bundle that submit has written.")
    assert refusal(zip_with(NEEDED[:1], tmp_path / "few.zip")).startswith("manifest.json: missing from the bundle.")


# the manifest


def a_folder(tmp_path: Path) -> Path:
    folder = both(tmp_path, f"{RUN}/run.json", b"{}")[1]
    names = ["bundle.json", "claims.json", f"{RUN}/run.json"]
    (folder / "manifest.json").write_bytes(make_manifest({name: folder / name for name in names}))
    return folder


def test_the_manifest_lists_every_file(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    assert open_files(open_archive(folder)).read(f"{RUN}/run.json") == b"{}"
    (folder / RUN / "tests.jsonl").write_bytes(b"")
    with pytest.raises(Refused, match="in the bundle, but not in its manifest"):
        open_files(open_archive(folder))
    (folder / RUN / "tests.jsonl").unlink()
    (folder / RUN / "run.json").unlink()
    with pytest.raises(Refused, match="in the manifest, but not in the bundle"):
        open_files(open_archive(folder))


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    (folder / "claims.json").write_bytes(b"[]\n")
    files = open_files(open_archive(folder))
    with pytest.raises(Refused, match="claims.json: its SHA-256 is .* was changed after packing"):
        files.read("claims.json")
    (folder / "claims.json").write_bytes(b"{} \n")
    with pytest.raises(Refused, match="claims.json: 4 bytes, the manifest says 3"):
        open_files(open_archive(folder))


def test_a_manifest_in_another_writing_is_refused(tmp_path: Path) -> None:
    """So that one bundle has one digest."""
    folder = a_folder(tmp_path)
    value = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(value, indent=1))
    with pytest.raises(Refused, match="not written as submit writes it"):
        open_files(open_archive(folder))
    assert json.loads(canonical(value)) == value


def test_what_is_told_cannot_steer_a_terminal() -> None:
    assert harmless("a\x1b[2Jb\u202ec\x00d\ne") == "a?[2Jb?c?d e"
    assert harmless("x" * 300, 10) == "x" * 9 + "…"
    assert len(Refused(*["why"] * 100).reasons) == 21


def test_a_zip_archive_closes_its_file(tmp_path: Path) -> None:
    with ZipArchive(zip_with(NEEDED, tmp_path / "good.zip")) as archive:
        file = archive._file
    assert file.closed
