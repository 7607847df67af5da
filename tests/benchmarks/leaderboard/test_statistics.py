"""Our statistics against hand-computed cases, scipy, and what must hold for any numbers."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.leaderboard.statistics import bootstrap
from benchmarks.leaderboard.statistics.aggregates import (
    STATISTICS,
    aggregate,
    interquartile_mean,
    mean,
    median,
    normalised,
    optimality_gap,
)
from benchmarks.leaderboard.statistics.bootstrap import (
    Interval,
    between,
    draws,
    generator,
    intervals,
    mean_interval,
    weights,
)
from benchmarks.leaderboard.statistics.curves import efficiency, mean_curve, profile
from benchmarks.leaderboard.statistics.improvement import improvement, wins
from benchmarks.leaderboard.statistics.ranks import ranks

REAL = st.floats(-100, 100, width=32)
RUNS = st.lists(REAL, min_size=1, max_size=8).map(np.array)
TASKS = st.lists(RUNS, min_size=1, max_size=4)
EQUAL = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(REAL, min_size=n, max_size=n).map(np.array), min_size=1, max_size=4)
)


# --- statistics


def test_aggregates_worked_out_by_hand():
    """Two tasks, two runs: means 0.25 and 1.0; the pool is 0, 0.5, 0.8, 1.2, of which the middle half is 0.5, 0.8."""
    groups = [np.array([0.0, 0.5]), np.array([0.8, 1.2])]
    assert pytest.approx(0.65) == float(interquartile_mean(groups))
    assert pytest.approx(0.625) == float(mean(groups))
    assert pytest.approx(0.625) == float(median(groups))
    assert pytest.approx((1.0 + 0.5 + 0.2 + 0.0) / 4) == float(optimality_gap(groups))


def test_ragged_aggregates_worked_out_by_hand():
    """One run of 1.0 counts as much as the other task's four: repeated, the pool is 0, 0, 0, 4, 1, 1, 1, 1."""
    groups = [np.array([0.0, 0.0, 0.0, 4.0]), np.array([1.0])]
    assert pytest.approx((0 + 1 + 1 + 1) / 4) == float(interquartile_mean(groups))
    assert pytest.approx(1.0) == float(mean(groups))
    assert pytest.approx(1.0) == float(median(groups))
    assert pytest.approx((0.75 + 0.0) / 2) == float(optimality_gap(groups))


def test_the_median_is_of_tasks_and_not_of_runs():
    groups = [np.array([0.0, 1.0]), np.array([5.0, 5.0]), np.array([2.0, 2.0])]
    assert 2.0 == float(median(groups))


def test_scores_are_0_for_random_play_and_1_for_the_best():
    np.testing.assert_allclose([0.0, 1.0, 2.0, -1.0], normalised(np.array([-10.0, 10.0, 30.0, -30.0]), -10.0, 10.0))


@given(EQUAL)
def test_the_interquartile_mean_is_scipys_trimmed_mean_exactly(groups):
    assert stats.trim_mean(np.concatenate(groups), 0.25) == float(interquartile_mean(groups))


@given(TASKS)
def test_the_ragged_interquartile_mean_is_that_of_repeated_runs(groups):
    common = np.lcm.reduce([len(group) for group in groups])
    repeated = np.concatenate([np.repeat(group, common // len(group)) for group in groups])
    expected = stats.trim_mean(repeated, 0.25)
    np.testing.assert_allclose(expected, float(interquartile_mean(groups)), rtol=1e-9, atol=1e-9)


@given(TASKS, st.randoms(use_true_random=False))
def test_aggregates_do_not_feel_the_order_of_runs_and_tasks(groups, random):
    shuffled = [np.array(random.sample(group.tolist(), len(group))) for group in groups]
    random.shuffle(shuffled)
    for statistic in STATISTICS.values():
        np.testing.assert_allclose(float(statistic(groups)), float(statistic(shuffled)), rtol=1e-9, atol=1e-9)


@given(TASKS)
def test_means_and_median_lie_between_the_lowest_and_the_highest_run(groups):
    pool = np.concatenate(groups)
    for statistic in (interquartile_mean, mean, median):
        assert pool.min() - 1e-9 <= float(statistic(groups)) <= pool.max() + 1e-9
    assert float(optimality_gap(groups)) >= max(0.0, 1.0 - float(mean(groups))) - 1e-9


@given(TASKS, st.floats(-5, 5), st.floats(0.1, 5))
def test_means_and_median_move_with_the_scores(groups, shift, factor):
    moved = [shift + factor * group for group in groups]
    for statistic in (interquartile_mean, mean, median):
        expected = shift + factor * float(statistic(groups))
        np.testing.assert_allclose(expected, float(statistic(moved)), rtol=1e-6, atol=1e-6)


@given(TASKS)
def test_a_batch_of_replicates_is_each_of_them(groups):
    batch = [np.stack([group, group[::-1], np.zeros_like(group)]) for group in groups]
    for statistic in STATISTICS.values():
        expected = [float(statistic([group[k] for group in batch])) for k in range(3)]
        np.testing.assert_allclose(expected, statistic(batch), rtol=1e-9, atol=1e-9)


# --- bootstrap


@pytest.mark.parametrize("groups", [[10], [5, 5, 5], [4, 7, 10]], ids=str)
def test_intervals_are_scipys_within_the_error_of_simulation(groups):
    """scipy draws each sample of several independently: a stratified bootstrap. Its bounds may differ by chance alone:
    the standard error of a 2.5 % quantile of R normal replicates of deviation s is about 2.7 s / sqrt(R)."""
    rng = np.random.default_rng(3)
    scores = [rng.gamma(2.0, 1.0, n) for n in groups]
    for name, statistic in (("mean", mean), ("iqm", interquartile_mean)):
        ours = intervals(scores, {name: statistic}, generator("scipy", name), replicates=20_000)[name]
        theirs = stats.bootstrap(
            scores, lambda *drawn, axis, f=statistic: f(drawn), n_resamples=20_000, method="percentile", rng=5,
            confidence_level=0.95, batch=2_000,
        )  # fmt: skip
        error = 2.7 * theirs.standard_error / np.sqrt(20_000)
        assert abs(ours.low - theirs.confidence_interval.low) < 5 * error
        assert abs(ours.high - theirs.confidence_interval.high) < 5 * error


def test_the_bootstrap_of_two_runs_is_known_exactly():
    """Of runs 0 and 1 the mean is 0, 1/2, 1 with probability 1/4, 1/2, 1/4: the bounds are the runs themselves."""
    assert Interval(0.5, 0.0, 1.0) == mean_interval(np.array([0.0, 1.0]), generator("two"))
    drawn = weights(2, 100_000, generator("two")) @ np.array([0.0, 1.0])
    shares = [(drawn == value).mean() for value in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose([0.25, 0.5, 0.25], shares, atol=0.008)


def test_runs_are_drawn_within_their_task():
    """Tasks of one value each have no spread, whatever lies between them."""
    groups = [np.full(5, 1.0), np.full(5, 100.0)]
    assert Interval(50.5, 50.5, 50.5) == intervals(groups, {"mean": mean}, generator("within"), 200)["mean"]


def test_batches_give_all_replicates_and_stay_small(monkeypatch):
    monkeypatch.setattr(bootstrap, "AT_ONCE", 70)
    batches = list(draws([np.arange(3.0), np.arange(4.0)], 25, generator("batches")))
    assert [10, 10, 5] == [len(batch[0]) for batch in batches]
    assert all((len(batch[0]), 3) == batch[0].shape and (len(batch[0]), 4) == batch[1].shape for batch in batches)


def test_every_run_is_drawn_as_often_as_any_other():
    """Over 40,000 draws of four runs each count is 10,000, give or take four standard deviations of 87."""
    drawn = np.concatenate([batch[0] for batch in draws([np.arange(4.0)], 10_000, generator("often"))])
    counts = np.bincount(drawn.astype(int).ravel(), minlength=4)
    assert np.abs(counts - 10_000).max() < 350


def test_the_same_names_give_the_same_interval_and_others_do_not():
    scores = [np.random.default_rng(1).normal(size=8)]
    assert aggregate("mvd", scores) == aggregate("mvd", scores)
    assert aggregate("mvd", scores)["mean"] != aggregate("qmix", scores)["mean"]


@given(st.lists(REAL, min_size=2, max_size=8).map(np.array))
def test_wider_levels_hold_narrower_ones(values):
    drawn = weights(len(values), 500, generator("nested")) @ values
    narrow, wide = between(drawn, 0.5), between(drawn, 0.95)
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]
    assert values.min() - 1e-6 <= wide[0] and wide[1] <= values.max() + 1e-6


def test_of_one_run_there_is_no_interval():
    assert Interval(3.0, None, None) == mean_interval(np.array([3.0]), generator("one"))
    found = aggregate("mvd", [np.array([1.0, 2.0]), np.array([3.0])])
    assert all(each.low is None and each.high is None for each in found.values())


@pytest.mark.parametrize("groups", [[], [np.zeros(0)], [np.ones(2), np.zeros(0)], [np.ones((2, 2))]], ids=str)
def test_tasks_without_runs_are_refused_in_one_line(groups):
    with pytest.raises(ValueError, match="at least one run of each task") as caught:
        intervals(groups, {"mean": mean}, generator("none"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ask", [
    lambda groups: interquartile_mean(groups),
    lambda groups: interquartile_mean([*groups, np.ones(3)]),
    lambda groups: intervals(groups, {"mean": mean}, generator("nan")),
    lambda groups: aggregate("mvd", groups),
    lambda groups: profile("mvd", groups, np.array([0.5])),
    lambda groups: efficiency("mvd", [np.stack([group, group], axis=1) for group in groups]),
    lambda groups: improvement(("x", "y"), groups, [np.ones(2), np.ones(2)]),
    lambda groups: improvement(("x", "y"), [np.ones(2), np.ones(2)], groups),
])  # fmt: skip
def test_a_score_that_is_no_number_is_refused_in_one_line(ask):
    """Sorted, it would be the best of all."""
    with pytest.raises(ValueError, match="scores are not a number") as caught:
        ask([np.array([1.0, np.nan]), np.array([3.0, 4.0])])
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("n, expected", [(3, 0.742), (5, 0.825), (10, 0.903), (20, 0.930)])
def test_intervals_hold_the_true_mean_as_often_as_the_notes_say(n, expected):
    """1,500 samples of normal numbers each: standard error of the share at most 0.012. The expected
    shares were simulated once with the index form of the bootstrap and 4,000 samples."""
    rng = np.random.default_rng(n)
    samples = rng.normal(size=(1_500, n))
    held = 0
    for sample in samples:
        low, high = between(weights(n, 1_000, rng) @ sample)
        held += bool(low <= 0.0 <= high)
    assert abs(held / len(samples) - expected) < 0.04


@pytest.mark.slow
def test_intervals_of_many_runs_and_tasks_hold_the_truth_about_95_times_in_100():
    """Ten tasks of twenty runs, where percentile intervals should be right: 500 suites, standard error 0.01."""
    rng = np.random.default_rng(9)
    held = {"mean": 0, "iqm": 0}
    for k in range(500):
        groups = list(rng.normal(size=(10, 20)))  # symmetric: the true mean and interquartile mean are 0
        found = intervals(groups, {"mean": mean, "iqm": interquartile_mean}, generator("coverage", k), 1_000)
        for name, each in found.items():
            held[name] += bool(each.low <= 0.0 <= each.high)
    assert all(0.91 < count / 500 < 0.98 for count in held.values()), held


@pytest.mark.skipif(
    importlib.util.find_spec("rliable") is None, reason="optional: needs rliable, with pandas < 3 and arch < 8"
)
def test_aggregates_are_rliables():
    from rliable import library, metrics

    scores = np.random.default_rng(4).normal(size=(10, 6))  # runs, tasks
    groups = list(scores.T)
    for statistic, theirs in (
        (interquartile_mean, metrics.aggregate_iqm),
        (mean, metrics.aggregate_mean),
        (median, metrics.aggregate_median),
        (optimality_gap, metrics.aggregate_optimality_gap),
    ):
        np.testing.assert_allclose(theirs(scores), float(statistic(groups)), rtol=1e-12)
    above = np.mean([metrics.probability_of_improvement(scores[:, [k]], scores[:, [0]] + 0.1) for k in range(6)])
    ours = improvement(("x", "y"), groups, [scores[:, 0] + 0.1] * 6).point
    np.testing.assert_allclose(above, ours, rtol=1e-12)
    _, bounds = library.get_interval_estimates(
        {"x": scores}, lambda each: np.array([metrics.aggregate_iqm(each)]), reps=5_000
    )
    found = intervals(groups, {"iqm": interquartile_mean}, generator("rliable"), 5_000)["iqm"]
    np.testing.assert_allclose(bounds["x"][:, 0], found[1:], atol=0.1 * (found.high - found.low))


# --- probability of improvement


def test_improvement_worked_out_by_hand():
    """x 1, 3 and y 2, 1: of the four pairs 1 < 2, 1 = 1, 3 > 2, 3 > 1."""
    np.testing.assert_array_equal([[0.0, 0.5], [1.0, 1.0]], wins(np.array([1.0, 3.0]), np.array([2.0, 1.0])))
    found = improvement(("x", "y"), [np.array([1.0, 3.0])], [np.array([2.0, 1.0])])
    assert pytest.approx(2.5 / 4) == found.point
    assert 0.0 <= found.low <= found.point <= found.high <= 1.0


@given(RUNS, RUNS)
def test_improvement_is_mann_whitneys_u(x, y):
    u = stats.mannwhitneyu(x, y, method="asymptotic").statistic
    assert pytest.approx(u / (len(x) * len(y))) == wins(x, y).mean()


@given(st.integers(1, 3).flatmap(lambda k: st.tuples(*[st.lists(RUNS, min_size=k, max_size=k)] * 2)))
def test_improvement_and_its_opposite_are_1_together(groups):
    x, y = groups
    one, other = improvement(("x", "y"), x, y, 200), improvement(("y", "x"), y, x, 200)
    assert pytest.approx(1.0) == one.point + other.point


@pytest.mark.parametrize("n_tasks", [1, 2, 4])
def test_who_always_wins_has_a_sure_improvement(n_tasks):
    x, y = [np.arange(10.0, 15.0)] * n_tasks, [np.arange(5.0)] * n_tasks
    np.testing.assert_allclose([1.0, 1.0, 1.0], improvement(("x", "y"), x, y), rtol=1e-12)


def test_the_interval_of_an_improvement_is_scipys_within_the_error_of_simulation():
    rng = np.random.default_rng(8)
    x, y = rng.normal(0.5, 1, 9), rng.normal(0, 1, 7)
    ours = improvement(("x", "y"), [x], [y], replicates=20_000)

    def statistic(one, other, axis):
        return (one[..., :, None] > other[..., None, :]).mean((-1, -2))

    theirs = stats.bootstrap((x, y), statistic, n_resamples=20_000, method="percentile", rng=5, batch=5_000)
    error = 2.7 * theirs.standard_error / np.sqrt(20_000) + 1 / 63  # pairs come in 63rds
    assert abs(ours.low - theirs.confidence_interval.low) < 5 * error
    assert abs(ours.high - theirs.confidence_interval.high) < 5 * error


def test_unpaired_tasks_are_refused_in_one_line():
    with pytest.raises(ValueError, match="1 tasks of one and 2 of the other"):
        improvement(("x", "y"), [np.ones(2)], [np.ones(2), np.ones(2)])


# --- curves, profiles, efficiency


def test_a_curve_counts_the_runs_that_got_there():
    nan = np.nan
    band, counts = mean_curve(np.array([[1.0, 2.0, 3.0, nan], [3.0, 4.0, nan, nan]]), ("curve",))
    np.testing.assert_array_equal([2, 2, 1, 0], counts)
    np.testing.assert_array_equal([2.0, 3.0, 3.0, nan], band.point)
    np.testing.assert_array_equal([1.0, 2.0, nan, nan], band.low)
    np.testing.assert_array_equal([3.0, 4.0, nan, nan], band.high)


def test_a_profile_is_the_share_of_runs_above():
    groups = [np.array([0.2, 0.6]), np.array([0.4, 0.4])]
    found = profile("mvd", groups, np.array([0.0, 0.2, 0.4, 0.6]))
    np.testing.assert_allclose([1.0, 0.75, 0.25, 0.0], found.point)
    assert (found.low <= found.point).all() and (found.point <= found.high).all()


@given(TASKS)
def test_profiles_fall(groups):
    found = profile("mvd", groups, np.linspace(-100, 100, 21), 100)
    assert (np.diff(found.point) <= 1e-12).all()
    assert (np.diff(found.low[~np.isnan(found.low)]) <= 1e-12).all()


def test_a_point_of_the_efficiency_is_the_aggregate_there():
    curves = [np.random.default_rng(k).normal(size=(5, 3)) for k in range(2)]
    found = efficiency("mvd", curves)
    for p in range(3):
        assert pytest.approx(float(interquartile_mean([curve[:, p] for curve in curves]))) == found.point[p]
        whole = intervals(
            [curve[:, p] for curve in curves], {"iqm": interquartile_mean}, generator("anew"), replicates=20_000
        )["iqm"]
        width = whole.high - whole.low
        assert abs(whole.low - found.low[p]) < 0.1 * width and abs(whole.high - found.high[p]) < 0.1 * width


# --- ranks


def interval(low, high):
    return Interval((low + high) / 2, low, high)


@pytest.mark.parametrize(
    "found, expected",
    [
        ([interval(0, 1), interval(2, 3), interval(4, 5)], [3, 2, 1]),
        ([interval(0, 2), interval(1, 3), interval(4, 5)], [2, 2, 1]),
        ([interval(4, 6), interval(2, 4), interval(0, 1)], [1, 1, 3]),  # touching is overlapping
        ([interval(4, 6), interval(3, 5), interval(2, 3.5), interval(0, 1)], [1, 1, 1, 4]),  # a chain
        ([Interval(9, None, None), None, interval(0, 1)], [None, None, 1]),
        ([], []),
    ],
)
def test_ranks_part_only_where_intervals_do(found, expected):
    assert expected == ranks(found)


@given(st.lists(st.tuples(REAL, REAL).map(sorted).map(lambda pair: interval(*pair)), max_size=8))
def test_overlapping_intervals_share_a_rank_and_better_ones_come_first(found):
    places = ranks(found)
    for one, place in zip(found, places):
        assert place == 1 + sum(other_place < place for other_place in places)
        for other, other_place in zip(found, places):
            if one.low <= other.high and other.low <= one.high:
                assert place == other_place
            if place < other_place:
                assert one.low > other.high
