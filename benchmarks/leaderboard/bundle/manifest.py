"""manifest.json: size and SHA-256 of every other file. Its own SHA-256 names the bundle."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from benchmarks.leaderboard.bundle.archive import Archive
from benchmarks.leaderboard.bundle.limits import LIMITS, Limits
from benchmarks.leaderboard.bundle.names import MANIFEST, name_reasons
from benchmarks.leaderboard.bundle.refusal import Refused, harmless
from benchmarks.leaderboard.bundle.schema import check_form
from benchmarks.leaderboard.bundle.strict_json import canonical, parse
from epymarl_lite.utils.files import sha256_of

__all__ = ["SCHEMA", "Files", "make_manifest", "open_files"]

SCHEMA = 1

NOT_CANONICAL = f"{MANIFEST}: it is not written as submit writes it. Pack with submit."
NOT_LISTED = "{name}: in the bundle, but not in its manifest."
NOT_THERE = "{name}: in the manifest, but not in the bundle."
SIZE = "{name}: {given} bytes, the manifest says {expected}."
HASH = "{name}: its SHA-256 is {given}…, the manifest says {expected}…. The file was changed after packing."


def make_manifest(paths: Mapping[str, Path]) -> bytes:
    """The manifest of these files, by their names in the bundle."""
    files = {name: {"sha256": sha256_of(path), "size": path.stat().st_size} for name, path in paths.items()}
    return canonical({"schema": SCHEMA, "files": files})


@dataclass(frozen=True)
class Files:
    """The files of a bundle; what is read has the hash that its manifest says, now, not only when it was opened."""

    archive: Archive
    digest: str  # SHA-256 of the manifest: names the bundle
    listed: Mapping[str, Mapping[str, Any]]  # name -> sha256, size
    limits: Limits

    def read(self, name: str) -> bytes:
        """All bytes of one file.

        Raises:
            Refused: they are not those of the manifest.
        """
        if name not in self.listed:
            raise Refused(NOT_THERE.format(name=harmless(name)))
        data = self.archive.read(name)
        given, expected = hashlib.sha256(data).hexdigest(), self.listed[name]["sha256"]
        if given != expected:
            raise Refused(HASH.format(name=name, given=given[:12], expected=expected[:12]))
        return data

    def json(self, name: str) -> Any:
        """The value of a .json file."""
        return parse(self.read(name), name, self.limits)

    def __contains__(self, name: str) -> bool:
        return name in self.listed


def open_files(archive: Archive, limits: Limits = LIMITS) -> Files:
    """The files that the manifest lists, which must be those that are there, with their sizes.

    Raises:
        Refused: they are not; hashes are compared when a file is read.
    """
    data = archive.read(MANIFEST)
    manifest = parse(data, MANIFEST, limits)
    check_form("manifest", manifest, MANIFEST)
    if canonical(manifest) != data:
        raise Refused(NOT_CANONICAL)
    listed = manifest["files"]
    there = {name: size for name, size in archive.sizes.items() if name != MANIFEST}
    reasons = name_reasons(listed)
    reasons += [NOT_LISTED.format(name=name) for name in there if name not in listed]
    reasons += [NOT_THERE.format(name=name) for name in listed if name not in there]
    reasons += [
        SIZE.format(name=name, given=there[name], expected=entry["size"])
        for name, entry in listed.items() if name in there and entry["size"] != there[name]
    ]  # fmt: skip
    Refused.unless_empty(reasons)
    return Files(archive, hashlib.sha256(data).hexdigest(), listed, limits)
