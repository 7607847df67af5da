"""Put async-epymarl into somebody's EPyMARL checkout, and take it out again without a trace."""

import ast
import codecs
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from registry import takeover
from registry.config import OURS, yaml_names
from registry.hosts.upstream import check_home

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = takeover.MANIFEST
MAIN = "src/main.py"
HOOK = "src/async_epymarl_link.py"
LINE = "import async_epymarl_link; async_epymarl_link.take_over()  # async-epymarl: python -m registry unlink"
MARK = b"async_epymarl_link"

IN_THE_WAY = "{path}: a file of that name is there already, and none is replaced. Rename it, then link again."
NOT_PYTHON = "{path}: Python cannot read it ({error}), so our line has no place. Mend it, then link again."
NOT_LINKED = "{checkout}: not linked (no {manifest}). Nothing was changed."
BAD_MANIFEST = "{path}: not readable ({error}). Restore it, or remove our line and files by hand."
READ_ONLY = "{checkout}: cannot be written ({error}). Nothing is linked there; give yourself write access."


def link(directory: str | os.PathLike[str]) -> list[str]:
    """Link the checkout at `directory` to this clone; linking twice changes nothing.

    Returns:
        what was done, one line each.

    Raises:
        ValueError: no EPyMARL checkout, not writable, or a file is in the way; nothing was changed.
    """
    checkout = check_home(directory)
    before = _read_manifest(checkout)
    told: list[str] = []
    if before is not None:
        if Path(before["clone"]) == ROOT:
            return _check_again(checkout, before)
        told = unlink(checkout)
    files, algorithms = _new_files(checkout)
    main = (checkout / MAIN).read_bytes()
    if MARK in main:
        raise ValueError(f"{checkout / MAIN}: holds a line of an earlier link. Remove it, then link again.")
    linked_main = with_line(main, checkout / MAIN)
    manifest = {
        "about": "Written by `python -m registry link` of async-epymarl; `unlink` reads it.",
        "clone": str(ROOT),
        "line": LINE,
        "algorithms": sorted(algorithms),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    try:
        _replace(checkout / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        for name, content in files.items():
            _replace(checkout / name, content)
        _replace(checkout / MAIN, linked_main)
    except OSError as error:
        for name in (*files, MANIFEST):  # none of them was there before
            (checkout / name).unlink(missing_ok=True)
        raise ValueError(READ_ONLY.format(checkout=checkout, error=error)) from error
    told += [f"{checkout / MAIN}: one line added", *(f"{checkout / name}: new" for name in files)]
    renamed = {name: ours for name, ours in algorithms.items() if name != ours}
    told += [f"--config={ours} stays the host's; ours is --config={name}" for name, ours in renamed.items()]
    return told


def unlink(directory: str | os.PathLike[str]) -> list[str]:
    """Undo `link`: tracked files are restored to the byte, results stay, files changed since are left.

    Returns:
        what was done and what was left, one line each.

    Raises:
        ValueError: `directory` is not linked; nothing was changed.
    """
    checkout = Path(directory).expanduser().absolute()
    manifest = _read_manifest(checkout)
    if manifest is None:
        raise ValueError(NOT_LINKED.format(checkout=checkout, manifest=MANIFEST))
    told = [_take_line(checkout / MAIN, manifest["line"])]
    for name, digest in manifest["files"].items():
        path = checkout / name
        if not path.exists():
            told.append(f"{path}: gone already")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            told.append(f"{path}: changed since it was linked, left as it is")
        else:
            path.unlink()
            told.append(f"{path}: removed")
    _remove_byte_code(checkout / HOOK)
    (checkout / MANIFEST).unlink()
    return told


def with_line(source: bytes, path: Path) -> bytes:
    """`source` with our line before its first statement (behind a docstring and `from __future__` imports).

    Raises:
        ValueError: the source is not Python; one line.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError) as error:
        raise ValueError(NOT_PYTHON.format(path=path, error=error)) from error
    at = 0  # lines that stay above ours
    for number, statement in enumerate(body):
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_docstring = number == 0 and is_text
        is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not (is_docstring or is_future):
            at = max(at, statement.lineno - 1) if at == 0 else at
            break
        at = statement.end_lineno or at
    lines = source.splitlines(keepends=True)
    newline = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    head = b"".join(lines[:at])
    if at == 0 and source.startswith(codecs.BOM_UTF8):
        head = codecs.BOM_UTF8
    if head and not head.endswith((b"\n", b"\r", codecs.BOM_UTF8)):
        raise ValueError(NOT_PYTHON.format(path=path, error="it ends before its first statement"))
    return head + LINE.encode() + newline + source[len(head):]


def _take_line(path: Path, line: str) -> str:
    source = path.read_bytes()
    for newline in (b"\r\n", b"\n"):
        ours = line.encode() + newline
        if source.count(ours) == 1:
            _replace(path, source.replace(ours, b""))
            return f"{path}: our line removed"
    if MARK in source:
        return f"{path}: our line was changed since, left as it is"
    return f"{path}: our line is gone already"


def _new_files(checkout: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """(path -> content of every file to add, name in the checkout -> our name of every algorithm)."""
    hook = Path(takeover.__file__).read_text(encoding="utf-8")
    hook = hook.replace('CLONE = ""', f"CLONE = {str(ROOT)!r}", 1)
    files = {HOOK: hook.encode()}
    algorithms = {}
    for ours in yaml_names(OURS / "algs"):
        folder = checkout / "src" / "config" / "algs"
        name = f"async_{ours}" if (folder / f"{ours}.yaml").exists() else ours
        algorithms[name] = ours
        files[f"src/config/algs/{name}.yaml"] = (OURS / "algs" / f"{ours}.yaml").read_bytes()
    for name in (*files, MANIFEST):
        if (checkout / name).exists():
            raise ValueError(IN_THE_WAY.format(path=checkout / name))
    return files, algorithms


def _check_again(checkout: Path, manifest: dict[str, Any]) -> list[str]:
    told = [f"{checkout}: linked already, nothing changed"]
    if manifest["line"].encode() not in (checkout / MAIN).read_bytes():
        told.append(f"{checkout / MAIN}: our line is missing; unlink, then link again")
    for name, digest in manifest["files"].items():
        path = checkout / name
        if not path.exists():
            told.append(f"{path}: is missing; unlink, then link again")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            told.append(f"{path}: changed since it was linked")
    return told


def _read_manifest(checkout: Path) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads((checkout / MANIFEST).read_text(encoding="utf-8"))
    except OSError:
        return None
    except ValueError as error:
        raise ValueError(BAD_MANIFEST.format(path=checkout / MANIFEST, error=error)) from error
    for name, kind in (("clone", str), ("line", str), ("files", dict)):
        if not isinstance(manifest, dict) or not isinstance(manifest.get(name), kind):
            raise ValueError(BAD_MANIFEST.format(path=checkout / MANIFEST, error=f"it lacks {name!r}"))
    return manifest


def _replace(path: Path, content: bytes) -> None:
    """Write a file as a whole; one that exists keeps its mode."""
    path = path.resolve()
    partial = path.with_name(path.name + ".async-epymarl-part")
    try:
        partial.write_bytes(content)
        if path.exists():
            shutil.copymode(path, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _remove_byte_code(module: Path) -> None:
    folder = module.parent / "__pycache__"
    for path in folder.glob(f"{module.stem}.*.pyc"):
        path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
