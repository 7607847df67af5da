"""`python -m registry explain --checkpoint DIR`: an episode of a trained run, and who got the credit for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

from async_envs.core.seeding import TEST, episode_seed
from registry import catalog, checks
from registry.hosts import select
from registry.resume import read_config
from registry.verify import build_learner, find_run, find_weights
from registry.provenance import source_state
from registry.verify_report import Weights, described_weights
from registry.verify_request import Request, parse_options, whole_number, writable

SCHEMA = 1  # of the JSON file
FRAMES = 6
MOST_EPISODES = 2**31 - 1
KEY_AND_RUN = (
    "explain: both a task ({given}) and --checkpoint were given, expected one of the two. A run knows its task: "
    "leave it out, or write options as NAME=VALUE."
)
NOTHING = (
    "explain: neither a task nor --checkpoint was given, expected one of the two. Write explain async:poac-1 (what "
    "a task shows) or explain --checkpoint DIR --episode 0 (an episode of a run)."
)
NEEDS_RUN = "explain: {flag} belongs to an episode of a run. Add --checkpoint DIR, or leave it out."
NO_EPISODE = "explain: --episode is missing: which test episode? Write --episode 0 for the run's first."
NO_MIXER = (
    "{where}: algorithm {name!r} has no mixer (learner={learner!r}), so no credit is shared out that could be "
    "explained. Name a run of an algorithm with one: {known}."
)
OTHER_TASK = "{where}: the run's task {key} is not one of ours, expected a key of `python -m registry keys`."


@dataclass(frozen=True)
class Question:
    """What was asked for, and the run it is about."""

    weights: Request  # which run, networks and options
    episode: int
    frames: int
    where: Path  # the run's folder


def check_question(
    checkpoint: str,
    episode: str | None,
    seed: str | None,
    frames: str | None,
    out: str | None,
    options: Sequence[str],
) -> Question:
    """The words of the command line as a question, checked against the run's configuration.

    Raises:
        ValueError: what is wrong, in one line.
    """
    if episode is None:
        raise ValueError(NO_EPISODE)
    number = whole_number("--episode", episode, 0, MOST_EPISODES, "explain")
    n_frames = whole_number("--frames", FRAMES if frames is None else frames, 1, None, "explain")
    if any("=" not in word for word in options):
        raise ValueError(KEY_AND_RUN.format(given=" ".join(options)))
    folder = find_run(Path(checkpoint))
    settings = read_config(folder)
    key = str((settings.get("env_args") or {}).get("key"))
    if settings.get("env") != "async" or not catalog.is_key(key):
        raise ValueError(OTHER_TASK.format(where=folder, key=key))
    check_has_mixer(folder, settings)
    family, _ = catalog.parse_key(key)
    key = catalog.canonical_key(key)
    if out is None:
        writable(folder / "explained.json", "explain")
    seed_text = str(settings["seed"]) if seed is None else seed
    request = Request(
        key=key,
        options=parse_options(family, key, options),
        checkpoint=Path(checkpoint),
        config=None,
        device="cpu",
        episodes=1,
        seed=whole_number("--seed", seed_text, 0, checks.MAX_SEED, "explain"),
        out=None if out is None else writable(Path(out), "explain"),
    )
    return Question(request, number, n_frames, folder)


def check_has_mixer(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a run whose learner shares nothing out: actor-critics, independent learners, another host's."""
    from plugins.learners import LEARNERS
    from plugins.mixers import MIXERS

    if settings.get("mixer") not in MIXERS or settings.get("learner") not in LEARNERS:
        raise ValueError(NO_MIXER.format(
            where=folder, name=settings.get("name"), learner=settings.get("learner"), known=", ".join(MIXERS)
        ))  # fmt: skip


def run(question: Question) -> dict[str, Any]:
    """Play and explain; returns what the JSON file is to hold (`registry.verify_report.write_report`).

    Raises:
        ValueError: networks that are missing, damaged or of another size; one line.
    """
    import torch

    from plugins.credit import course, key_frames, report
    from plugins.envs import build_simulator

    request = question.weights
    host = select.choose("embedded")
    weights = find_weights(host, request)
    torch.set_num_threads(weights.settings["threads"])
    torch.manual_seed(request.seed)
    learner, weights = build_learner(host, request, weights)
    simulator = build_simulator(catalog.make, weights.settings["env_args"], 1)
    seed = episode_seed(request.seed, TEST, question.episode)
    try:
        played = course.play(simulator, learner, seed, request.seed)
    finally:
        simulator.close()
    slots = report.slot_names(simulator.n_agents, played.explanation.q.shape[1])
    frames = key_frames.key_frames(played, question.frames)
    return {
        **describe(question, weights, played, seed),
        "meaning": report.meanings(played),
        "slots": slots,
        "own_labels": report.labels_of_own(learner.mixer, played, slots),
        "course": {
            "step": played.steps.tolist(),
            "reward": played.reward.tolist(),
            "q_tot": played.q_tot.tolist(),
            "td_error": played.td_error.tolist(),
        },
        "frames": [report.frame_report(played, frame, simulator.action_names) for frame in frames],
    }


def describe(question: Question, weights: Weights, played: Any, seed: int) -> dict[str, Any]:
    """Which networks and which episode."""
    recording = played.recording
    return {
        "schema": SCHEMA,
        "key": question.weights.key,
        "options": question.weights.options,
        "algorithm": weights.settings["name"],
        "mixer": weights.settings["mixer"],
        "weights": described_weights(weights),
        "source": source_state(),
        "episode": {
            "number": question.episode,
            "run_seed": question.weights.seed,
            "seed": seed,
            "seed_is": f"episode_seed({question.weights.seed}, {TEST!r}, {question.episode})",
            "return": played.total_reward,
            "length": recording.n_steps,
            "terminated": bool(recording.terminated.any()),
            "truncated": bool(recording.truncated.any()),
            "metrics": {name: float(values[0]) for name, values in recording.metrics.items()},
        },
    }


def default_file(question: Question, told: dict[str, Any]) -> Path:
    """`explained/<step>-<seed>-<episode>.json` in the run's folder."""
    name = f"{told['weights']['step']}-{question.weights.seed}-{question.episode}.json"
    return question.where / "explained" / name


def show(told: dict[str, Any], say: Callable[[str], None]) -> None:
    """Print what was told: one line on the episode, then every key frame."""
    from plugins.credit import report

    episode = told["episode"]
    metrics = "".join(f", {name} {value:g}" for name, value in episode["metrics"].items())
    say(
        f"{told['algorithm']} on {told['key']} ({told['weights']['path']}): test episode {episode['number']} of seed "
        f"{episode['run_seed']}: {episode['length']} steps, return {episode['return']:.3f}{metrics}"
    )
    for frame in told["frames"]:
        say("")
        say(report.table(frame, told["slots"], told["own_labels"]))
    if not told["frames"]:
        say("No step has a TD error, a reward or a pair of agents: there is nothing to look at.")


def words_without_run(key: str | None, given: dict[str, Any]) -> str:
    """The task that `explain KEY` shows.

    Raises:
        ValueError: no task, or flags that ask about a run; one line.
    """
    for flag, value in given.items():
        if value is not None:
            raise ValueError(NEEDS_RUN.format(flag=f"--{flag}"))
    if key is None:
        raise ValueError(NOTHING)
    return key
