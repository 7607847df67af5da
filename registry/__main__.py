"""`python -m registry`: what exists, how runs go on, and how to live in an EPyMARL checkout."""

import sys
from pathlib import Path
from typing import Any, Callable, Sequence

import click

from async_envs.core.options import Option
from registry import catalog


class Worded(click.Group):
    """Shows our own errors as one line with exit status 2, and what the system refused with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            click.echo(" ".join(str(error).split()), err=True)
            ctx.exit(2)
        except BrokenPipeError:  # whoever read our output has gone: click's business
            raise
        except OSError as error:
            click.echo(_refused(error), err=True)
            ctx.exit(1)


def _refused(error: OSError) -> str:
    """One line for what the system refused; errors that we raise ourselves are worded already."""
    if error.filename is None:
        return " ".join(str(error).split())
    return f"{error.filename}: the system refused this ({error.strerror}). Look at its permissions and the disk."


@click.group(cls=Worded)
def main() -> None:
    """Tasks, algorithms, runs and hosts of async-epymarl."""


@main.command()
def keys() -> None:
    """List the keys of all tasks, with the options of each family."""
    for name in catalog.FAMILIES:
        family = catalog.family(name)
        click.echo(f"{family.name}: {family.summary}")
        for variant in family.variants:
            short = f"  (= {catalog.PREFIX}{name})" if variant == family.default_variant else ""
            click.echo(f"  {catalog.PREFIX}{name}-{variant}{short}")
        click.echo("  options, each written env_args.NAME=VALUE:")
        for option in family.options:
            click.echo(f"    {_described(option)}")


@main.command()
def algorithms() -> None:
    """List our algorithms: mechanism, learner, mixer, options, source."""
    from dataclasses import fields

    from plugins.config.keys import BaseKeys
    from plugins.config.mixer_keys import ProxyKeys
    from plugins.learners import ACTOR_CRITICS, learner_keys
    from plugins.mixers import mixer_spec
    from registry.config import OURS, read_yaml, yaml_names

    for name in yaml_names(OURS / "algs"):
        path = OURS / "algs" / f"{name}.yaml"
        settings = read_yaml(path)
        about = header(path)
        click.echo(f"--config={name}")
        click.echo(f"  mechanism: {about[0] if about else name}")
        click.echo(f"  learner: {settings['learner']}   mixer: {settings.get('mixer', 'none')}")
        shared = {field.name for field in fields(BaseKeys)}
        readers = [learner_keys(settings["learner"])]
        if settings["learner"] not in ACTOR_CRITICS:
            spec = mixer_spec(settings["mixer"])
            readers = [spec.keys, *[ProxyKeys] * spec.vsp, *readers]
        named = [field.name for keys in readers for field in fields(keys)]
        options = [name for name in named if name not in shared]
        click.echo(f"  options: {', '.join(options) or 'none'}")
        click.echo(f"  source: {' '.join(about[1:]) or about[0]}")


def header(path: Path) -> list[str]:
    """The comment lines that a file begins with, without their marks."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return lines


@main.command()
@click.argument("words", nargs=-1, metavar="[KEY] [NAME=VALUE]...")
@click.option("--all", "show_all", is_flag=True, help="Every name of the observation and the state.")
@click.option("--checkpoint", help="A run's folder, its models/STEP or checkpoints/STEP; newest by default.")
@click.option("--episode", help="Number of the test episode, from 0.")
@click.option("--seed", help="Run seed that the episode belongs to; the run's own by default.")
@click.option("--frames", help="Key frames at most; 6 by default.")
@click.option("--out", help="The JSON file; explained/STEP-SEED-EPISODE.json in the run's folder by default.")
def explain(words: tuple[str, ...], show_all: bool, checkpoint: str | None, **given: Any) -> None:
    """Show a task, or who got the credit in an episode of a run; NAME=VALUE are the task's options.

    \b
    python -m registry explain async:poac-1                            a task's sizes, names and options
    python -m registry explain --checkpoint RUN_DIR --episode 0        an episode, step by key step

    The episode is played greedily. Its key frames are the steps with the largest TD errors, the most unusual rewards
    and the largest changes of the pairs' weights, in turns. Each shows the utility Q_i of every agent and proxy,
    dQ_tot/dQ_i and f_ij; the JSON file says what every number is.
    """
    from registry.explain import words_without_run

    if checkpoint is not None:
        _explain_episode(checkpoint, words, **given)
        return
    key, *options = [words_without_run(words[0] if words else None, given), *words[1:]]
    _explain_task(key, options, show_all)


def _explain_episode(
    checkpoint: str,
    options: tuple[str, ...],
    episode: str | None,
    seed: str | None,
    frames: str | None,
    out: str | None,
) -> None:
    from registry import explain as explanation
    from registry.verify_report import write_report

    question = explanation.check_question(checkpoint, episode, seed, frames, out, options)
    told = explanation.run(question)
    explanation.show(told, click.echo)
    path = question.weights.out or explanation.default_file(question, told)
    try:
        write_report(path, told)
    except OSError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(f"\n{path}: everything, with what each number is.")


def _explain_task(key: str, options: Sequence[str], show_all: bool) -> None:
    from registry.verify_request import parse_options

    family, variant = catalog.parse_key(key)
    simulator = catalog.make(key, **parse_options(family, catalog.canonical_key(key), options))
    click.echo(f"{simulator.key}: {family.summary}")
    click.echo(f"  agents: {simulator.n_agents}   step limit: {simulator.episode_limit}")
    click.echo(f"  metrics: {', '.join(simulator.metric_names)}")
    for title, names in (
        ("actions", simulator.action_names),
        ("observation", simulator.obs_names),
        ("state", simulator.state_names),
    ):
        click.echo(f"  {title} ({len(names)}): {_listed(names, show_all or title == 'actions')}")
    for option in family.options:
        click.echo(f"  env_args.{_described(option)}")


def _described(option: Option) -> str:
    """Name, what is accepted, default and meaning of one option; where no default is said, the help tells."""
    default = "" if option.default is None else f"; default {option.default}"
    return f"{option.name}: {option.accepted()}{default}. {option.help}"


def _listed(names: Sequence[str], show_all: bool, few: int = 8) -> str:
    if show_all or len(names) <= few:
        return ", ".join(names)
    return f"{', '.join(names[:few])}, … (--all shows all)"


@main.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
def resume(run_dir: Path) -> None:
    """Go on with the run in RUN_DIR, in that folder, from its last whole checkpoint."""
    from registry.resume import resume as resume_run

    sys.exit(resume_run(run_dir))


@main.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
def status(run_dir: Path) -> None:
    """Show how the run in RUN_DIR stands: RUNNING, COMPLETED, FAILED, INTERRUPTED or STALE."""
    from registry.records import read_records, run_status

    steps = [record["t_env"] for record in read_records(run_dir) if "t_env" in record]
    click.echo(f"{run_dir}: {run_status(run_dir)}, last word at step {max(steps, default=0)}")


@main.command()
@click.option("--run", "run_dir", required=True, type=click.Path(path_type=Path), help="A run's folder.")
@click.option("--model", default="best", show_default=True, help="best, last, or a step.")
@click.option("--episodes", default="320", show_default=True, help="How many are played.")
@click.option("--seeds-from", default="absolute", show_default=True, help="absolute or held_out.")
@click.option("--seed", help="Run seed that the episodes belong to; the run's own by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; RUN/evaluation by default.")
@click.option("--with-last", is_flag=True, help="Keep the networks of the last test too: last.safetensors.")
def evaluate(
    run_dir: Path, model: str, episodes: str, seeds_from: str, seed: str | None, out: Path | None, with_last: bool
) -> None:
    """Let the saved networks of a run play as in its tests, and keep every episode with its actions.

    \b
    python -m registry evaluate --run results/sacred/mvd/async-poac-1/1 --model best --episodes 320

    Writes evaluation.json, episodes.jsonl and agent.safetensors. No test of the run has played these episodes.
    """
    from registry import evaluation_report
    from registry.checks import MAX_SEED
    from registry.verify_request import whole_number

    number = whole_number("--episodes", episodes, 1, None, "evaluate")
    run_seed = None if seed is None else whole_number("--seed", seed, 0, MAX_SEED, "evaluate")
    try:
        report = evaluation_report.evaluate_run(run_dir, model, number, seeds_from, out, run_seed, with_last)
    except OSError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(evaluation_report.told(report))


@main.command()
@click.option("--key", help="The task, e.g. async:poac-1.")
@click.option("--checkpoint", help="A run's folder, its models/STEP or checkpoints/STEP; newest by default.")
@click.option("--config", help="An algorithm of ours, freshly initialised.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--episodes", default="32", show_default=True, help="Episodes that each policy plays.")
@click.option("--seed", default="0", show_default=True, help="Of episodes, random play and samples.")
@click.option("--out", help="A JSON file for the table and all that it depends on.")
@click.argument("options", nargs=-1, metavar="[NAME=VALUE]...")
def verify(options: tuple[str, ...], **given: Any) -> None:
    """Check on a task and a learner that VSP changes nothing it must not; NAME=VALUE are the key's options.

    Plays episodes with a random and with the learner's policy, with and without proxies, and prints a table.
    Exit status 1 if a check is violated.
    """
    from plugins.vsp.verify.rows import Row, table
    from registry import verify_report
    from registry.verify import run
    from registry.verify_request import check_request

    request = check_request(options=options, **given)
    report = run(request, lambda line: click.echo(line, err=True))
    click.echo(table([Row(**row) for row in report["rows"]]))
    click.echo(verify_report.digest(report))
    if request.out is not None:
        try:
            verify_report.write_report(request.out, report)
        except OSError as error:
            click.echo(str(error), err=True)
            sys.exit(1)
    sys.exit(int(verify_report.is_violated(report)))


@main.command()
@click.argument("directory", type=click.Path())
def link(directory: str) -> None:
    """Put our plugin into the EPyMARL checkout at DIRECTORY."""
    from registry.link import link as link_checkout

    _tell(link_checkout, directory)


@main.command()
@click.argument("directory", type=click.Path())
def unlink(directory: str) -> None:
    """Take our plugin out of the checkout at DIRECTORY again; results stay."""
    from registry.link import unlink as unlink_checkout

    _tell(unlink_checkout, directory)


def _tell(act: Callable[[str], list[str]], directory: str) -> None:
    for line in act(directory):
        click.echo(line)


@main.command()
def doctor() -> None:
    """Check this machine: versions, threads, devices, kernel cache, hosts, results."""
    from registry.doctor import examine

    healthy = True
    for finding in examine():
        click.echo(str(finding))
        healthy = healthy and (finding.is_good or not finding.is_needed)
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    main(prog_name="python -m registry")
