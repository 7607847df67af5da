"""Results folders whose bundles are right as far as no episode is played, and bundles taken apart and put together."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np
import torch
from safetensors.torch import save

from async_envs.core.seeding import ABSOLUTE, TEST, episode_seed
from benchmarks.leaderboard import protocol as protocols
from benchmarks.leaderboard.bundle.archive import FolderArchive
from benchmarks.leaderboard.bundle.claims import make_claims
from benchmarks.leaderboard.bundle.expected import expected_config
from benchmarks.leaderboard.bundle.limits import LIMITS
from benchmarks.leaderboard.bundle.manifest import make_manifest, open_files
from benchmarks.leaderboard.bundle.names import MANIFEST
from benchmarks.leaderboard.bundle.origin import own_hash
from benchmarks.leaderboard.bundle.packing import Submission, pack
from benchmarks.leaderboard.bundle.reading import bundle_results
from benchmarks.leaderboard.bundle.strict_json import canonical
from benchmarks.leaderboard.protocol import Protocol, Task
from benchmarks.leaderboard.results import FAILED, FINISHED, NOT_RUN, RUNNING, cell_folder
from registry.records import encode
from registry.provenance import resolved
from tests.benchmarks.leaderboard.synthetic import STARTED, a_protocol, cells_of, write_json

TASK = "async:tabular-relay"
N_TESTS_APART = 100  # environment steps
Files = dict[str, bytes]


def small_protocol(**changes: Any) -> Protocol:
    """Two algorithms, two seeds, one task of four tests."""
    given: dict[str, Any] = {"tasks": {TASK: 300}, "algorithms": ("qmix", "vdn"), "seeds": (1, 2), **changes}
    return a_protocol(**given)


def write_results(
    folder: Path, protocol: Protocol | None = None, states: Mapping[tuple[str, str, int], str] | None = None
) -> Path:
    """A results folder with right seeds, settings, hashes and weights; its actions are made up."""
    protocol = protocol or small_protocol()
    write_json(folder / "protocol.json", protocols.as_dict(protocol))
    for task, algorithm, seed in cells_of(protocol):
        state = (states or {}).get((task.key, algorithm, seed), FINISHED)
        if state != NOT_RUN:
            write_cell(folder, protocol, task, algorithm, seed, state)
    return folder


def write_cell(results: Path, protocol: Protocol, task: Task, algorithm: str, seed: int, state: str) -> None:
    """One cell."""
    cell = cell_folder(results, task, algorithm, seed)
    run = f"sacred/{algorithm}/{task.folder}/1"
    said = {
        "schema": 1, "task": task.key, "algorithm": algorithm, "seed": seed, "state": state, "attempts": 1, "run": run,
        "reason": "learner: loss is nan <b>here</b>." if state == FAILED else None, "worker": "host-1",
        "started": STARTED, "ended": None if state == RUNNING else STARTED + 600,
    }  # fmt: skip
    write_json(cell / "cell.json", said)
    config = resolved(expected_config(protocol, task, algorithm, seed))
    rng = np.random.default_rng([seed, *algorithm.encode(), *task.key.encode()])
    told = {
        "command": f"python src/main.py --config={algorithm} with local_results_path={results.absolute()}",
        "config": config, "versions": {"python": "3.11.9"}, "commit": "0123456789abcdef", "dirty": False,
        "hardware": {"cpu": "a processor", "cores": 2}, "environment": own_hash(config), "host": "embedded",
        "platform": "Linux", "lock": "f" * 64,
    }  # fmt: skip
    lines: list[dict[str, Any]] = [{"kind": "provenance", **told}]
    last = task.t_max if state == FINISHED else task.t_max // 2
    means = []
    for k, step in enumerate(range(0, last + 1, protocol.test_interval)):
        n = protocol.test_nepisode
        episodes = [
            _values(rng, episode_seed(seed, TEST, k * n + j)) for j in range(n)
        ]  # fmt: skip
        means.append((float(np.mean([episode["return"] for episode in episodes])), step))
        lines.append({"kind": "test", "t_env": step, "episodes": episodes, "decisions": 3 * step, "wall_s": step / 7})
    (cell / run).mkdir(parents=True, exist_ok=True)
    (cell / run / "records.jsonl").write_bytes(b"".join(encode({**line, "time": STARTED}) for line in lines))
    if state == FINISHED and protocol.absolute_episodes:
        mean, step = max(means)
        n = protocol.absolute_episodes
        write_json(
            cell / "evaluation" / "evaluation.json",
            {"schema": 1, "step": step, "test_return": mean, "n": n, "environment": own_hash(config), "config": config},
        )
        episodes = [_values(rng, episode_seed(seed, ABSOLUTE, k)) for k in range(n)]
        for episode in episodes:
            episode["actions"] = rng.integers(0, 4, (episode["length"], 2)).tolist()
        text = "".join(json.dumps(episode) + "\n" for episode in episodes)
        (cell / "evaluation" / "episodes.jsonl").write_text(text, encoding="utf-8")
        torch.manual_seed(int(rng.integers(2**31)))
        weights = {"fc1.weight": torch.randn(8, 4), "fc1.bias": torch.randn(8)}
        (cell / "evaluation" / "agent.safetensors").write_bytes(save(weights))


def _values(rng: np.random.Generator, seed: int) -> dict[str, Any]:
    length = int(rng.integers(5, 12))
    return {"seed": seed, "return": float(rng.normal(5.0, 1.0)), "length": length, "decisions": length, "won": 1.0}


def submit(results: Path, out: Path, partial: bool = False) -> Path:
    """The bundle of a results folder."""
    return pack(results, out, Submission("A. Author", "a page", "a note"), partial).path


def files_of(bundle: Path) -> Files:
    """The bytes of a bundle's files, by name."""
    if bundle.is_dir():
        return {p.relative_to(bundle).as_posix(): p.read_bytes() for p in sorted(bundle.rglob("*")) if p.is_file()}
    with zipfile.ZipFile(bundle) as file:
        return {name: file.read(name) for name in file.namelist()}


def folder_with(files: Files, folder: Path, signed: bool = True) -> Path:
    """A bundle in a folder; signed: with a manifest that fits what is in it, as a forger would make."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if signed:
        names = [name for name in files if name != MANIFEST]
        (folder / MANIFEST).write_bytes(make_manifest({name: folder / name for name in names}))
    return folder


def reclaimed(files: Files, folder: Path) -> Files:
    """The files with the claims that their raw values give, as a forger would make them."""
    claims = make_claims(bundle_results(open_files(FolderArchive(folder_with(files, folder), LIMITS), LIMITS)))
    return {**files, "claims.json": canonical(claims)}


def edited(files: Files, name: str, change: Callable[[Any], None]) -> Files:
    """The files with a JSON document changed."""
    value = json.loads(files[name])
    change(value)
    return {**files, name: canonical(value)}


def edited_line(files: Files, name: str, line: int, change: Callable[[Any], None]) -> Files:
    """The files with one line of a JSONL file changed."""
    lines = files[name].splitlines(keepends=True)
    value = json.loads(lines[line])
    change(value)
    lines[line] = canonical(value)
    return {**files, name: b"".join(lines)}


def zip_with(members: Sequence[tuple[str | zipfile.ZipInfo, bytes]], path: Path) -> Path:
    """A zip file of these members, whatever they are called."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def set_to(*path: Any, value: Any) -> Callable[[Any], None]:
    """A change of one place of a document."""

    def change(document: Any) -> None:
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    return change
