"""The examples of docs/architecture.md run, and do what the page says."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from plugins.mixers import MIXERS, MixerSpec
from plugins.mixers.base import Extras
from registry import catalog
from tests.plugins.tiny import Log, TinyMAC, configuration, play

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything that the page's code blocks define, run in order, each from a file (numba reads the source)."""
    names: dict[str, Any] = {"__name__": "architecture"}
    folder = tmp_path_factory.mktemp("page")
    for k, block in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)):
        file = folder / f"block_{k}.py"
        file.write_text(block)
        exec(compile(block, str(file), "exec"), names)
    return names


def test_every_room_that_the_page_names_exists() -> None:
    named = re.findall(r"^\| `([\w/.]+)` \|", PAGE.read_text(), re.M)
    assert len(named) >= 8
    assert [name for name in named if not (PAGE.parents[1] / name).exists()] == []


def test_the_example_family_keeps_the_contract(page: dict[str, Any]) -> None:
    assert page["report"].unchecked == (
        "no agent was ever inactive",
        "episodes of different seeds were all the same",
    )
    assert page["FAMILY"].check_options("async:tank", {"capacity": 5}) == {"capacity": 5}


def test_the_example_family_is_made_by_its_key(page: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.FAMILIES, "tank", "tank:FAMILY")
    monkeypatch.setattr(catalog, "load", lambda entry: page[entry.split(":")[1]])
    catalog.family.cache_clear()
    simulator = catalog.make("async:tank", batch_size=3, capacity=7)
    assert (simulator.key, simulator.capacity, simulator.batch_size) == ("async:tank-1", 7, 3)
    catalog.family.cache_clear()


def test_the_example_mixer_adds_proxies_of_executing_agents_only(page: dict[str, Any]) -> None:
    mixer = page["WeightedSum"](n_agents=2, state_dim=3)
    q, state = torch.ones(4, 2), torch.randn(4, 3)
    executing = torch.tensor([[True, False]]).expand(4, 2)
    low = mixer(q, state, Extras(q_proxy=torch.tensor([[1.0, 5.0]]).expand(4, 2), executing=executing))
    same = mixer(q, state, Extras(q_proxy=torch.tensor([[1.0, 9.0]]).expand(4, 2), executing=executing))
    high = mixer(q, state, Extras(q_proxy=torch.tensor([[2.0, 5.0]]).expand(4, 2), executing=executing))
    assert torch.equal(low, same)
    assert (high > low).all()


def test_the_example_learner_clips_its_targets_and_trains(
    page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example mixer under the example learner: one update moves every parameter."""
    row = MixerSpec("page:WeightedSum", MIXERS["vdn"].keys, "", ("n_agents", "state_dim"), {}, vsp=True)
    monkeypatch.setattr("plugins.mixers.MIXERS", {**MIXERS, "weighted_sum": row})
    monkeypatch.setattr("plugins.mixers.import_module", lambda name: SimpleNamespace(**page))
    batch = play(seed=0)
    batch["reward"] += 1e3
    args = SimpleNamespace(**configuration("vdn_a", mixer="weighted_sum", name="weighted_sum"), n_agents=3)
    scheme = {"obs": {"vshape": 5}, "state": {"vshape": (7,)}}
    learner = page["ClippedLearner"](TinyMAC(5 + 6 + 3, 3, 6), scheme, Log(), args)
    for part in (learner.mac.agent, learner.target_mac.agent, learner.mixer, learner.target_mixer):
        part.double()
    before = [parameter.detach().clone() for parameter in learner.mixer.parameters()]
    assert float(learner.compute(batch).target.max()) == 25.0
    learner.train(batch, t_env=0, episode_num=0)
    assert all((old != new).any() for old, new in zip(before, learner.mixer.parameters(), strict=True))
