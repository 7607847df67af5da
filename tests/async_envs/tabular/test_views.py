"""The views over tabular tasks pass their ecosystems' own checkers."""

import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from async_envs.core.views import AECView, GymnasiumView, ParallelView
from async_envs.tabular.simulator import TabularSimulator, make
from tests.async_envs.tabular.tasks import errands

# PettingZoo's checker says these of every environment with dictionary observations, but for its own games
OF_DICTIONARIES = (
    "Observation space for each agent probably should be gymnasium.spaces.box or gymnasium.spaces.discrete",
    "Observation is not a NumPy array",
)

TASKS = {
    name: lambda name=name: make(f"async:tabular-{name}", name) for name in ("payoff", "climbing", "relay")
} | {"errands": lambda: TabularSimulator("async:tabular-errands", 1, errands())}
each_task = pytest.mark.parametrize("build", TASKS.values(), ids=TASKS)


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@each_task
def test_gymnasium_view_passes_its_checker(build):
    """Made through gymnasium.make, so that the checker tries the render mode too."""

    def entry(render_mode=None):
        return GymnasiumView(build(), invalid_actions="replace", render_mode=render_mode)

    gymnasium.register("async_envs_tests/Tabular-v0", entry_point=entry)
    try:
        for mode in (None, "ansi"):
            check_env(gymnasium.make("async_envs_tests/Tabular-v0", render_mode=mode).unwrapped)
    finally:
        del gymnasium.registry["async_envs_tests/Tabular-v0"]


@each_task
def test_parallel_view_passes_its_checkers(build):
    parallel_api_test(ParallelView(build()))
    parallel_seed_test(lambda: ParallelView(build(), invalid_actions="replace"))  # samples without masks


@each_task
def test_aec_view_passes_its_checkers(build):
    for line in OF_DICTIONARIES:
        warnings.filterwarnings("ignore", message=line)
    api_test(AECView(build()))
    seed_test(lambda: AECView(build()))


def test_a_view_draws_a_text():
    view = GymnasiumView(make("async:tabular-relay", "relay"), render_mode="ansi")
    view.reset(seed=1)
    assert view.render().startswith("step 0 of 4: state ")
