"""The verb scores: reference scores of the tasks, measured anew."""

import click

__all__ = ["command"]

FEW = "scores: --episodes={episodes} is too few for reference scores, expected at least {least}. Ask for more."
LEAST = 2_000  # episodes of a score that is kept


@click.command()
@click.option("--task", "tasks", multiple=True, metavar="KEY", help="Only this task; may come again.")
@click.option("--episodes", default=4_000, show_default=True, help="Episodes behind each mean.")
@click.option("--write", is_flag=True, help="Keep what was measured with the tasks (async_envs/FAMILY/scores.yaml).")
@click.pass_context
def command(ctx: click.Context, tasks: tuple[str, ...], episodes: int, write: bool) -> None:
    """Measure random play and the scripted or known best of the tasks, and compare with what is kept.

    \b
    python -m benchmarks.leaderboard scores --task async:poac-1
    python -m benchmarks.leaderboard scores --write

    Scores in reports are (return - random) / (best - random) with the kept figures. Exit status 1 if one that is kept
    is more than four standard errors away from what was measured.
    """
    from benchmarks.leaderboard import scores
    from epymarl_lite.utils.files import write_file
    from registry import catalog

    if write and episodes < LEAST:
        raise ValueError(FEW.format(episodes=episodes, least=LEAST))
    keys = [catalog.canonical_key(key) for key in tasks] or scores.measurable()
    found = {}
    differs = False
    for key in keys:
        found[key] = score = scores.measure(key, episodes)
        verdict = scores.verdict(catalog.reference_scores(key), score)
        differs |= verdict.startswith(scores.DIFFERS)
        best = f"{score.best:.3f}" + ("" if score.best_error is None else f" ± {score.best_error:.3f}")
        random = f"{score.random:.3f}" + ("" if score.random_error is None else f" ± {score.random_error:.3f}")
        click.echo(f"{key}: random {random}, best {best} ({score.best_how}); {verdict}")
    if write:
        for family in dict.fromkeys(catalog.parse_key(key)[0].name for key in keys):
            mine = {key: score for key, score in found.items() if catalog.parse_key(key)[0].name == family}
            path = scores.path_of(family)
            write_file(path, scores.file_of(family, mine, episodes).encode())
            click.echo(str(path))
    ctx.exit(int(differs and not write))
