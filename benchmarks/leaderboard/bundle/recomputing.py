"""Tier 2, beside the claims: the model that was evaluated last is the one that the run's own tests chose."""

from benchmarks.leaderboard.bundle.manifest import Files
from benchmarks.leaderboard.bundle.reading import About
from benchmarks.leaderboard.bundle.replaying import evaluated_runs

__all__ = ["evaluation_reasons"]

NO_TEST = "{run}: evaluation.json is of a model at step {step}, where the run has no test."
OTHER_RETURN = "{run}: evaluation.json says test_return {given!r}, the test at step {step} gives {found!r}."
NOT_BEST = (
    "{run}: evaluation.json is of the model at step {step} (test return {given:.6g}), the best test was at step {best} "
    "({found:.6g})."
)
TOLERANCE = 1e-9


def evaluation_reasons(files: Files, about: About) -> list[str]:
    """Why evaluations are not of the model with the highest mean test return; empty if they are."""
    reasons = []
    for run in evaluated_runs(files, about):
        assert run.evaluation is not None
        step, given = run.evaluation["step"], run.evaluation["test_return"]
        means = {test.step: float(test.values["return"].mean()) for test in run.tests}
        if step not in means:
            reasons.append(NO_TEST.format(run=run.name, step=step))
            continue
        slack = TOLERANCE * max(1.0, abs(means[step]))
        if given is None or abs(given - means[step]) > slack:
            reasons.append(OTHER_RETURN.format(run=run.name, step=step, given=given, found=means[step]))
        best = max(means, key=lambda each: means[each])
        if means[best] > means[step] + slack:
            reasons.append(NOT_BEST.format(run=run.name, step=step, given=means[step], best=best, found=means[best]))
    return reasons
