"""`python -m benchmarks.leaderboard VERB --results DIR …`: see --help."""

from importlib import import_module
from typing import Any

import click

from async_envs.core.errors import unknown_name

# verb -> (where its click command is, what --help says of it); nothing is imported before it is asked for
VERBS = {
    "run": ("benchmarks.leaderboard.commands.run:command", "Train and evaluate what a protocol asks for."),
    "status": ("benchmarks.leaderboard.commands.status:command", "Show how far a results folder is."),
    "retry": ("benchmarks.leaderboard.commands.retry:command", "Let failed cells be run again."),
    "report": ("benchmarks.leaderboard.commands.report:command", "Write tables, curves and the page."),
    "export": ("benchmarks.leaderboard.commands.export:command", "Write results for other tools."),
    "scores": ("benchmarks.leaderboard.commands.scores:command", "Measure the tasks' reference scores anew."),
    "submit": ("benchmarks.leaderboard.commands.submit:command", "Pack results for others to verify."),
    "verify": ("benchmarks.leaderboard.commands.verify:command", "Check a submission, tier by tier."),
    "add": ("benchmarks.leaderboard.commands.add:command", "Put a verified submission into the table."),
}
SEE_HELP = "leaderboard: {said} --help shows an example."


class Verbs(click.Group):
    """Finds a verb's command when it is asked for; shows what was asked wrongly as one line with status 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a verb."""
        if name not in VERBS:
            raise ValueError(unknown_name("leaderboard", "verb", name, VERBS))
        module, _, attribute = VERBS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with their sentences, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, told) for name, (_, told) in VERBS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What click does not understand of the group's own words is one line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            return _refuse(ctx, error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except (ValueError, click.UsageError) as error:
            return _refuse(ctx, error)


def _refuse(ctx: click.Context, error: Exception) -> Any:
    said = str(error)
    if isinstance(error, click.UsageError):
        said = SEE_HELP.format(said=error.format_message())
    click.echo(" ".join(said.split()), err=True)
    ctx.exit(2)


@click.group(cls=Verbs, no_args_is_help=False)
def main() -> None:
    """Run a protocol of tasks, algorithms and seeds; report, submit and verify its results.

    \b
    python -m benchmarks.leaderboard run --results results/smoke --protocol smoke --workers 2

    Everything lies in one folder, --results, which many processes and machines may share. Each verb has an example
    in its --help; docs/leaderboard.md tells the whole story.
    """


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.leaderboard")
