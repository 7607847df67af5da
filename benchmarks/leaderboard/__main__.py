"""`python -m benchmarks.leaderboard VERB --results DIR …`: see --help."""

import errno
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
    "restore": ("benchmarks.leaderboard.commands.restore:command", "Turn a submission back into a results folder."),
    "add": ("benchmarks.leaderboard.commands.add:command", "Put a verified submission into the table."),
}
DISK = "{verb}: {error}. See that the place is there, that you may read and write it, and that the disk has room."
SEE_HELP = "leaderboard: {said} --help shows an example."


class Verbs(click.Group):
    """Finds a verb's command when it is asked for.

    What was asked wrongly is shown as one line with status 2, what the system refused as one line with status 1.
    """

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
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read our output has gone: click ends quietly
                raise
            return _tell(ctx, DISK.format(verb=ctx.invoked_subcommand or "leaderboard", error=_in_words(error)), 1)


def _refuse(ctx: click.Context, error: Exception) -> Any:
    said = str(error)
    if isinstance(error, click.UsageError):
        said = SEE_HELP.format(said=error.format_message())
    return _tell(ctx, said, 2)


def _in_words(error: OSError) -> str:
    """The place and what is wrong with it, as far as the system says."""
    words = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {words}" if error.filename is not None else words


def _tell(ctx: click.Context, said: str, status: int) -> Any:
    click.echo(" ".join(said.split()), err=True)
    ctx.exit(status)


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
