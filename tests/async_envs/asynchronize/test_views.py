"""The ecosystems' own checkers over a foreign task that was made asynchronous."""

import warnings

import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test

import registry

LEAVERS = "async:pettingzoo-tests.async_envs.asynchronize.tasks"


@pytest.mark.filterwarnings("ignore:Observation:UserWarning")  # dictionaries, as PettingZoo has them with masks
@pytest.mark.parametrize("key", ["async:pettingzoo-example", LEAVERS])
def test_pettingzoos_checkers(key: str) -> None:
    parallel_api_test(registry.make(key, view="parallel", scale="bounds"), num_cycles=50)
    api_test(registry.make(key, view="aec", scale="bounds"), num_cycles=50)


@pytest.mark.parametrize("key", ["async:pettingzoo-example", LEAVERS])
def test_gymnasiums_checker(key: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that rewards are not in -1 … 1, that it is not registered
        view = registry.make(key, view="gymnasium", invalid_actions="replace", scale="bounds")
        check_env(view, skip_render_check=True)
