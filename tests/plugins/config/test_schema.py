"""Configurations: every file is whole and read, every wrong key or value is one clear line."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import plugins.config
from plugins.config.keys import MvdKeys, Na2qKeys, QattenKeys, QmixKeys, QplexKeys, ShaqKeys
from plugins.config.schema import check_config, config_names, load_alg, load_paper
from plugins.mixers import MIXERS
from tests.plugins.tiny import configuration

FOLDER = Path(plugins.config.__file__).parent
TABLE_4 = {
    "batch_size": 32,
    "buffer_size": 5000,
    "gamma": 0.99,
    "lr": 0.0005,
    "epsilon_start": 1.0,
    "epsilon_finish": 0.05,
    "epsilon_anneal_time": 50000,
    "target_update_interval_or_tau": 200,
    "test_interval": 2000,
    "test_nepisode": 20,
    "t_max": 5050000,
}


def test_every_algorithm_of_the_issue_has_a_file():
    with_variants = ["na2q", "qatten", "qmix", "qplex", "vdn"]
    names = ["mvd", "shaq", *with_variants, *[f"{name}_a" for name in with_variants]]
    assert config_names() == sorted(names)


@pytest.mark.parametrize("name", config_names())
def test_every_file_is_accepted_as_it_stands(name):
    check_config(configuration(name))
    config = load_alg(name)
    assert (config["name"], config["mac"], config["runner"]) == (name, "async_mac", "vector")
    assert (config["mixer"], config["learner"]) == (name, f"{name}_learner")
    agent = "rnn_individual" if name.startswith("na2q") else "rnn"
    assert (config["batch_size_run"], config["agent"], config["use_rnn"]) == (8, agent, True)
    assert config["obs_agent_id"] == (agent == "rnn")  # who has a last layer of its own needs no id


@pytest.mark.parametrize("name", config_names())
def test_every_key_is_explained_and_no_mixer_key_stands_where_nothing_reads_it(name):
    lines = (FOLDER / "algs" / f"{name}.yaml").read_text().splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            assert "  # " in line, line
    read = {field.name for field in fields(MIXERS[name].keys)}
    all_keys = (QmixKeys, QattenKeys, QplexKeys, ShaqKeys, Na2qKeys, MvdKeys)
    mixer_keys = {field.name for keys in all_keys for field in fields(keys)} - {"hidden_dim"}
    assert {key for key in load_alg(name) if key in mixer_keys} == read - {"hidden_dim"}


@pytest.mark.parametrize("name", ["mvd", "vdn_a", "qmix_a", "qatten_a", "qplex_a", "na2q_a"])
def test_mvd_and_the_variants_hold_table_4(name):
    config = load_alg(name)
    assert {key: config[key] for key in TABLE_4} == TABLE_4
    assert config["td_lambda"] is None
    assert config["optimiser"] == "adam" and config["mixer_optimiser"] in (None, "adam")
    assert config["mixer_lr"] in (None, config["lr"])


def test_paper_lays_table_4_over_any_algorithm():
    paper = load_paper()
    assert {key: paper[key] for key in TABLE_4} == TABLE_4
    for name in config_names():
        config = configuration(name) | paper
        check_config(config)
        assert {key: config[key] for key in TABLE_4} == TABLE_4
        assert config["optimiser"] == "adam"


REFERENCES = {  # files of the public implementations, named in ours
    "qplex": ("rmsprop", 0.0005, None, None),
    "shaq": ("rmsprop", 0.0005, "rmsprop", 0.001),
    "na2q": ("rmsprop", 0.0005, "adam", 0.0005),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_baselines_hold_the_settings_of_their_references(name):
    config = load_alg(name)
    keys = ("optimiser", "lr", "mixer_optimiser", "mixer_lr")
    assert tuple(config[key] for key in keys) == REFERENCES[name]
    shared = {"batch_size": 32, "buffer_size": 5000, "grad_norm_clip": 10}
    shared |= {"target_update_interval_or_tau": 200}
    assert {key: config[key] for key in shared} == shared
    assert config["td_lambda"] is None and config["double_q"]


def test_unknown_algorithm_offers_the_nearest():
    with pytest.raises(ValueError, match="unknown algorithm 'mdv'. Did you mean 'mvd'"):
        load_alg("mdv")


@pytest.mark.parametrize("key, value, words", [
    ("lr", "abc", "a number above 0"),
    ("lr", 0, "a number above 0"),
    ("lr", float("nan"), "a number above 0"),
    ("gamma", 1.1, "a number from 0 to 1"),
    ("batch_size", 32.0, "a whole number of at least 1"),
    ("batch_size", True, "a whole number of at least 1"),
    ("double_q", "yes", "True or False"),
    ("td_lambda", 2.0, "a number from 0 to 1 or null"),
    ("proxy_history", "gatherr", "one of gather, own_recurrence"),
    ("proxy_history", None, "one of gather, own_recurrence"),
    ("mvd_order", 0, "a whole number of at least 1"),
    ("mvd_form", "x", "one of d, s, m, gate, relu_heads, state_weights, boltzmann"),
    ("mvd_roles", 4, "one of 2, 3"),
    ("mvd_low_rank", 0, "a whole number of at least 1 or null"),
    ("epsilon_anneal_time", -5, "a whole number of at least 1"),
    ("threads", 0, "a whole number of at least 1"),
    ("target_update_interval_or_tau", 0, "a number above 0"),
    ("optimiser", "sgd", "one of adam, rmsprop"),
    ("mixer_optimiser", "sgd", "one of adam, rmsprop or null"),
    ("mixer_lr", 0, "a number above 0 or null"),
    ("optim_eps", 0, "a number above 0"),
])
def test_wrong_type_or_bound_is_one_clear_line(key, value, words):
    with pytest.raises(ValueError) as error:
        check_config(configuration("mvd", **{key: value}))
    text = str(error.value)
    assert f"{key}={value!r} is not accepted, expected {words}." in text and "\n" not in text


@pytest.mark.parametrize("name, key, value, words", [
    ("qplex", "qplex_kernels", 0, "a whole number of at least 1"),
    ("qplex", "qplex_kernel_layers", 0, "a whole number of at least 1"),
    ("qplex_a", "qplex_minus_one", 1, "True or False"),
    ("shaq", "shaq_orders", 0, "a whole number of at least 1"),
    ("shaq", "shaq_hypernet_layers", 3, "a whole number from 1 to 2"),
    ("na2q", "na2q_order", 4, "a whole number from 1 to 3"),
    ("na2q_a", "na2q_vae_weight", -0.1, "a number of at least 0"),
    ("na2q", "na2q_attention_embed", "64", "a whole number of at least 1"),
])
def test_wrong_keys_of_other_mixers_are_one_clear_line(name, key, value, words):
    with pytest.raises(ValueError) as error:
        check_config(configuration(name, **{key: value}))
    text = str(error.value)
    assert f"config {name}: {key}={value!r} is not accepted, expected {words}." in text and "\n" not in text


@pytest.mark.parametrize("changes, words", [
    ({"mixer_optimiser": "adam"}, "mixer_optimiser='adam' does not go with mixer_lr=None"),
    ({"mixer_lr": 0.001}, "mixer_optimiser=None does not go with mixer_lr=0.001"),
    ({"batch_size": 64, "buffer_size": 32}, "batch_size=64 is more than buffer_size=32"),
    (
        {"batch_size_run": 64, "batch_size": 1, "buffer_size": 32},
        "batch_size_run=64 is more than buffer_size=32",
    ),
    ({"epsilon_start": 0.01}, "epsilon_finish=0.05 is more than epsilon_start=0.01"),
    ({"mixer": "mvdd"}, "unknown mixer 'mvdd'. Did you mean 'mvd'"),
    ({"common_reward": False}, "common_reward=False does not fit"),
    ({"env_args": {"vsp": True}}, "env_args.vsp=True and mixer='mvd' both add proxies"),
    ({"mixer": "boltzmann_heads"}, "not MVD, expected another name than 'mvd'"),
])
def test_contradictions_are_one_clear_line(changes, words):
    with pytest.raises(ValueError) as error:
        check_config(configuration("mvd", **changes))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["mvd", "vdn_a", "qmix_a", "qatten_a", "qplex_a", "na2q_a"])
def test_a_stored_hidden_state_is_refused_with_its_reason(name):
    with pytest.raises(ValueError) as error:
        check_config(configuration(name, proxy_history="stored_hidden"))
    assert str(error.value) == (
        f"config {name}: proxy_history='stored_hidden' is not accepted (EPyMARL's batch has no field for the "
        "hidden states of acting), expected one of gather, own_recurrence. "
        "Change it on the command line or in the YAML file."
    )


@pytest.mark.parametrize("name", ["vdn", "qmix", "qatten", "qplex", "shaq", "na2q"])
def test_the_history_of_proxies_is_refused_where_there_are_none(name):
    with pytest.raises(ValueError) as error:
        check_config(configuration(name, proxy_history="own_recurrence"))
    assert str(error.value) == (
        f"config {name}: proxy_history='own_recurrence' does nothing with mixer={name!r}, which takes no "
        "proxies, expected no such key. Start from the YAML file of that mixer."
    )


def test_environment_side_proxies_go_with_a_mixer_without():
    check_config(configuration("qmix", env_args={"vsp": True}))


def test_a_missing_key_of_our_learner_is_named():
    config = configuration("mvd")
    del config["td_lambda"]
    with pytest.raises(ValueError, match="key 'td_lambda' is missing"):
        check_config(config)


def test_a_hosts_own_algorithm_is_checked_only_where_keys_are_shared():
    check_config({"learner": "ppo_learner", "lr": 0.0003, "mask_before_softmax": True})
    with pytest.raises(ValueError, match="lr='x'"):
        check_config({"learner": "ppo_learner", "lr": "x"})


def test_yaml_files_parse_to_plain_values():
    for path in sorted(FOLDER.rglob("*.yaml")):
        assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize(
    "learner, mixer", [("qmix_learner", "vdn"), ("mvd_learner", "qmix_a"), ("vdn_learner", "mvd")]
)
def test_a_learner_and_a_mixer_of_two_algorithms_are_refused(learner, mixer):
    line = f"two algorithms.* Take --config={mixer}, or set learner={mixer}_learner"
    with pytest.raises(ValueError, match=line):
        check_config(configuration(mixer) | {"learner": learner})


def test_a_mixer_without_a_learner_of_its_name_takes_any_of_ours():
    changes = {"mixer": "boltzmann_heads", "name": "boltzmann_heads", "mvd_form": "boltzmann"}
    check_config(configuration("mvd") | changes)
