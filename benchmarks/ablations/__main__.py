"""`python -m benchmarks.ablations algorithms|vsp|order|implementation`: see --help."""

import signal
import sys
from pathlib import Path
from typing import Any, Sequence

import click

from benchmarks.ablations import curves, plots
from benchmarks.ablations.cells import ABLATIONS, ablation
from benchmarks.ablations.execution import FAILED, execute
from benchmarks.ablations.plan import REFUSED, Plan, Settings, make_plan, parse_changes
from registry import catalog, checks
from registry.verify_request import whole_number

COMMAND = "ablations"
INTERRUPTED = "Interrupted. The same command goes on from here."
NO_KEY = "ablations: --key is missing: which task? Write --key async:poac-1 (python -m registry keys lists all)."
TWICE = "ablations: --seeds={seed} is there twice, expected different seeds. Leave one out."


class ManyValues(click.Command):
    """Takes `--seeds 1 2 3` as `--seeds 1,2,3`, `--only A B` as `--only A,B`; our own errors are one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Gather the values that follow --seeds and --only; what click does not understand is one line too."""
        try:
            return super().parse_args(ctx, gathered(args))
        except click.UsageError as error:
            click.echo(f"ablations: {' '.join(error.format_message().split())} --help shows an example.", err=True)
            ctx.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            click.echo(" ".join(str(error).split()), err=True)
            ctx.exit(2)


@click.command(cls=ManyValues)
@click.argument("name", required=False, metavar="|".join(ABLATIONS))
@click.option("--key", help="The task, e.g. async:poac-5.")
@click.option("--seeds", default="1,2,3,4,5", show_default=True, help="Seeds: 1 2 3, or 1,2,3.")
@click.option("--t-max", default="5050000", show_default=True, help="Environment steps of a run.")
@click.option("--results", default="results/ablations", show_default=True, help="Folder of runs and curves.")
@click.option("--only", multiple=True, metavar="VARIANT", help="Only these variants: A B, or A,B.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting of all runs; may come again.")
@click.option("--dry-run", is_flag=True, help="Show the table of runs and their state; run and write nothing.")
def main(
    name: str | None,
    key: str | None,
    seeds: str,
    t_max: str,
    results: str,
    only: tuple[str, ...],
    changes: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Run an ablation of the paper, and write its curves and plots.

    \b
    algorithms      every algorithm that --config knows         Figures 4, 5, 6, 14, 15
    vsp             what proxies do for other algorithms        Figures 7a, 16, 17, 18
    order           interactions of order 1, 2, 3               Figures 7b, 19
    implementation  the forms d, s, m of MVD's mixing network   Figures 7c, 20

    \b
    python -m benchmarks.ablations vsp --key async:poac-5 --seeds 1 2 3 --t-max 1000000 --results results/vsp

    Every run is the main command with paper=True, one after another. A run that was killed goes on where it
    stood, a finished one is never repeated, so the same command can be given again at any time; variants that two
    ablations share are run once in one --results folder. Curves are NAME-TASK.json and .csv (mean and standard
    deviation over seeds, with n), pictures .png. Exit status 1 if a run failed.
    """
    name, asked = str(name), ablation(name)
    if key is None:
        raise ValueError(NO_KEY)
    catalog.parse_key(key)
    settings = Settings(
        key=catalog.canonical_key(key),
        t_max=whole_number("--t-max", t_max, 1, None, COMMAND),
        results=Path(results),
        changes=parse_changes(changes),
    )
    checks.check_results_root(results)
    labels = tuple(label for word in only for label in word.split(","))
    plan = make_plan(settings, asked.chosen(labels), parse_seeds(seeds))
    if dry_run:
        click.echo(aligned(table(plan)))
        for label, reason in refused(plan).items():
            click.echo(f"{label} is refused: {reason}")
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        plan = execute(plan, click.echo)
    except KeyboardInterrupt:
        click.echo(INTERRUPTED, err=True)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)
    keep(name, plan)
    sys.exit(int(any(cell.state == FAILED for cell in plan.cells)))


def gathered(args: Sequence[str]) -> list[str]:
    """`args` with the values that follow --seeds or --only as one word, commas between them."""
    words: list[str] = []
    flag = ""  # whose values are being read
    for arg in args:
        named = flag == "--only" and arg not in ABLATIONS and not arg.startswith("-")
        is_value = named or (flag == "--seeds" and arg.replace(",", "").isdigit())
        if is_value and words[-1] != flag:
            words[-1] += f",{arg}"
        else:
            words.append(arg)
        if not is_value:
            flag = arg
    return words


def keep(name: str, plan: Plan) -> None:
    """Write curves and plots, and print the last points."""
    results = plan.settings.results
    found = curves.report(name, plan)
    stem = f"{name}-{plan.settings.task}"
    try:
        written = list(curves.write(found, results, stem))
    except OSError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if plots.can_draw():
        written += plots.draw(ablation(name), found, results, stem)
    else:
        click.echo(plots.NO_MATPLOTLIB, err=True)
    click.echo("\n" + aligned(curves.summary(found)))
    click.echo("\n" + "\n".join(str(path) for path in written))


def parse_seeds(given: str) -> list[int]:
    """Seeds in the order given.

    Raises:
        ValueError: none, no number, out of bounds, or one twice; one line.
    """
    seeds = [whole_number("--seeds", word, 0, checks.MAX_SEED, COMMAND) for word in given.split(",")]
    for seed in seeds:
        if seeds.count(seed) > 1:
            raise ValueError(TWICE.format(seed=seed))
    return seeds


def table(plan: Plan) -> list[tuple[str, ...]]:
    """Rows of a dry run."""
    rows: list[tuple[str, ...]] = [("variant", "seed", "state", "command")]
    for cell in plan.cells:
        state = f"{cell.state} ({cell.told})" if cell.told and cell.state != REFUSED else cell.state
        rows.append((cell.variant.label, str(cell.seed), state, " ".join(["python src/main.py", *cell.words])))
    return rows


def refused(plan: Plan) -> dict[str, str]:
    """Variants that cannot be run on this task, and why."""
    return {cell.variant.label: cell.told for cell in plan.cells if cell.state == REFUSED}


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns under each other."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.ablations")
