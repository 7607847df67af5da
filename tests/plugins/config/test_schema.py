"""Configurations: every file is whole and read, every wrong key or value is one clear line."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import plugins.config
from plugins.config.keys import BaseKeys, EpsilonSoftKeys, IcesKeys, OurKeys
from plugins.config.mixer_keys import (
    AvfQmixKeys,
    MvdKeys,
    Na2qAKeys,
    QattenAKeys,
    QmixKeys,
    QplexKeys,
    ShaqKeys,
)
from plugins.config.schema import check_config, config_names, load_alg, load_paper
from plugins.learners import learner_keys
from plugins.mixers import MIXERS
from tests.plugins.tiny import ACTOR_CRITICS, VALUE_ALGS, configuration

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
    own = ["acac", "avf_qmix", "avf_vdn", "ices", "ippo", "mac_iaicc", "mvd", "shaq"]
    names = [*own, *with_variants, *[f"{name}_a" for name in with_variants]]
    assert config_names() == sorted(names)


@pytest.mark.parametrize("name", VALUE_ALGS)
def test_every_file_is_accepted_as_it_stands(name):
    check_config(configuration(name))
    config = load_alg(name)
    assert (config["name"], config["learner"], config["runner"]) == (name, f"{name}_learner", "vector")
    assert (config["batch_size_run"], config["use_rnn"]) == (8, True)


@pytest.mark.parametrize("name", VALUE_ALGS)
def test_value_learners_share_one_network_that_sees_who_it_acts_for(name):
    config = load_alg(name)
    mac, mixer = ("ices_mac", "qmix") if name == "ices" else ("async_mac", name)
    assert (config["mac"], config["mixer"]) == (mac, mixer)
    agent = "rnn_individual" if name.startswith("na2q") else "rnn"
    assert config["agent"] == agent
    assert config["obs_agent_id"] == (agent == "rnn")  # who has a last layer of its own needs no id


@pytest.mark.parametrize("name", ACTOR_CRITICS)
def test_every_actor_critic_is_accepted_as_it_stands_and_every_key_is_read(name):
    check_config(configuration(name))
    config = load_alg(name)
    assert (config["name"], config["mac"], config["runner"]) == (name, "policy_mac", "vector")
    assert config["learner"] == f"{name}_learner"
    keys = [learner_keys(config["learner"]), BaseKeys, OurKeys]
    keys += [EpsilonSoftKeys] if config["action_selector"] == "epsilon_soft" else []
    assert set(config) == set(config) & {field.name for each in keys for field in fields(each)}


@pytest.mark.parametrize("name", ACTOR_CRITICS)
def test_paper_lays_table_4_over_the_actor_critics(name):
    config = configuration(name)
    config |= {key: value for key, value in load_paper(config["learner"]).items() if key in config}
    check_config(config)
    expected = {"batch_size_run": 4, "batch_size": 16, "buffer_size": 16, "lr": 0.0005, "critic_lr": 0.0005}
    if name != "ippo":
        expected |= {"epsilon_finish": 0.05, "epsilon_anneal_time": 50000}
    if name == "mac_iaicc":
        expected |= {"target_update_interval_or_tau": 200}
    assert {key: config[key] for key in expected} == expected
    assert (config["gamma"], config["optimiser"], config["t_max"]) == (0.99, "adam", 5050000)


def test_the_actor_critics_hold_the_settings_of_their_references():
    ippo, iaicc = load_alg("ippo"), load_alg("mac_iaicc")
    expected = {"lr": 0.0005, "eps_clip": 0.2, "gae_lambda": 0.95, "epochs": 8, "entropy_coef": 0.01, "hidden_dim": 64}
    assert {key: ippo[key] for key in expected} == expected and ippo["standardise_returns"]
    expected = {"lr": 0.0003, "critic_lr": 0.003, "q_nstep": 5, "target_update_interval_or_tau": 32, "hidden_dim": 32}
    expected |= {"critic_width": 128, "critic_hidden_dim": 64, "batch_size_run": 8, "entropy_coef": 0.0}
    assert {key: iaicc[key] for key in expected} == expected and iaicc["grad_norm_clip"] is None
    expected = {"lr": 0.0003, "critic_lr": 0.0003, "eps_clip": 0.01, "epochs": 5, "gae_lambda": 0.95}
    acac = load_alg("acac")
    assert {key: acac[key] for key in expected} == expected and acac["critic_heads"] == 2


@pytest.mark.parametrize("name, changes, words", [
    ("ippo", {"buffer_size": 16}, "batch_size=8 and buffer_size=16 differ"),
    ("ippo", {"batch_size_run": 3}, "no multiple of batch_size_run=3"),
    ("ippo", {"eps_clip": 0}, "eps_clip=0 is not accepted, expected a number above 0"),
    ("ippo", {"mac": "async_mac"}, "mac='async_mac' is not accepted, expected one of policy_mac"),
    ("acac", {"critic_heads": 3}, "critic_heads=3 does not divide hidden_dim=64"),
    ("mac_iaicc", {"observations": "late"}, "observations='late' is not accepted, expected one of held, fresh"),
    ("mac_iaicc", {"q_nstep": 0}, "q_nstep=0 is not accepted"),
    ("mac_iaicc", {"mask_unavailable": None}, "mask_unavailable=None is not accepted"),
    ("mac_iaicc", {"common_reward": False}, "learns from the team's reward"),
    ("mac_iaicc", {"env_args": {"vsp": True}}, "agents that never decide"),
    ("qmix", {"mac": "policy_mac"}, "has no utilities for learner='qmix_learner'"),
])  # fmt: skip
def test_wrong_keys_of_actor_critics_are_one_clear_line(name, changes, words):
    with pytest.raises(ValueError, match=words) as error:
        check_config(configuration(name) | changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", config_names())
def test_every_key_is_explained(name):
    lines = (FOLDER / "algs" / f"{name}.yaml").read_text().splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            assert "  # " in line, line


@pytest.mark.parametrize("name", VALUE_ALGS)
def test_no_key_of_another_algorithm_stands_where_nothing_reads_it(name):
    config = load_alg(name)
    readers = (MIXERS[config["mixer"]].keys, learner_keys(config["learner"]))
    read = {field.name for keys in readers for field in fields(keys)}
    all_keys = (AvfQmixKeys, QmixKeys, QattenAKeys, QplexKeys, ShaqKeys, Na2qAKeys, MvdKeys, IcesKeys)
    of_some = {field.name for keys in all_keys for field in fields(keys)} - {"hidden_dim", "t_max"}
    assert {key for key in config if key in of_some} == read - {"hidden_dim", "t_max"}


@pytest.mark.parametrize(
    "name", ["mvd", "vdn_a", "qmix_a", "qatten_a", "qplex_a", "na2q_a", "avf_vdn", "avf_qmix"]
)
def test_mvd_and_the_variants_hold_table_4(name):
    config = load_alg(name)
    assert {key: config[key] for key in TABLE_4} == TABLE_4
    assert config["td_lambda"] is None
    assert config["optimiser"] == "adam" and config["mixer_optimiser"] in (None, "adam")
    assert config["mixer_lr"] in (None, config["lr"])


def test_paper_lays_table_4_over_any_algorithm():
    paper = load_paper()
    assert {key: paper[key] for key in TABLE_4} == TABLE_4
    for name in VALUE_ALGS:
        config = configuration(name) | paper
        check_config(config)
        assert {key: config[key] for key in TABLE_4} == TABLE_4
        assert config["optimiser"] == "adam"


def test_ices_holds_the_settings_of_its_reference():
    """grad_norm_clip is twice the reference's, whose loss has a factor 1/2; Adam does not feel that factor."""
    config = load_alg("ices")
    expected = {
        "lr": 0.001, "optimiser": "adam", "td_lambda": 0.6, "batch_size": 128, "buffer_size": 5000,
        "batch_size_run": 8, "target_update_interval_or_tau": 200, "grad_norm_clip": 20,
        "epsilon_start": 1.0, "epsilon_finish": 0.0, "epsilon_anneal_time": 100000,
        "ices_beta_start": 0.1, "ices_beta_finish": 0.1, "ices_entropy": 0.1, "ices_policy_lr": 0.01,
        "ices_value_lr": 0.01, "ices_grad_norm_clip": 10, "ices_embedding_dim": 4, "ices_world_hidden_dim": 64,
        "ices_latent_dim": 16, "ices_baseline_lr": 0.0001, "ices_world_lr": 0.0001, "ices_world_clip": 0.1,
        "ices_world_decay": 0.01, "ices_normalise_change": True,
    }  # fmt: skip
    assert {key: config[key] for key in expected} == expected
    ours = {"ices_mask": "decisions", "ices_mask_unavailable": True, "step_penalty": 0.0}
    assert {key: config[key] for key in ours} == ours


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
    ("na2q", "na2q_vae_steps", "some", "one of played, all"),
    ("na2q_a", "na2q_masked_proxies", "gone", "one of absent, zeroed"),
    ("qatten_a", "qatten_masked_proxies", "gone", "one of absent, zeroed"),
    ("avf_qmix", "avf_update", "D3", "one of D0, D1, D2"),
    ("avf_qmix", "avf_state", "state", "one of joint_macro, plain"),
    ("na2q", "na2q_attention_embed", "64", "a whole number of at least 1"),
    ("ices", "ices_mask", "all", "one of decisions, none"),
    ("ices", "ices_mask_unavailable", "no", "True or False"),
    ("ices", "ices_world_transitions", 0, "a whole number of at least 1 or null"),
    ("ices", "ices_world_decay", 0, "a number above 0, at most 1"),
    ("ices", "ices_beta_start", 1.5, "a number from 0 to 1"),
    ("ices", "step_penalty", 0.02, "a number of at most 0"),
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


@pytest.mark.parametrize("changes, words", [
    ({"learner": "qmix_learner"}, "learner='qmix_learner' and mac='ices_mac' do not go together"),
    ({"mac": "async_mac"}, "learner='ices_learner' and mac='async_mac' do not go together"),
    ({"ices_beta_start": 0.05}, "ices_beta_finish=0.1 is more than ices_beta_start=0.05"),
    ({"common_reward": False}, "common_reward=False does not fit"),
])
def test_contradictions_of_ices_are_one_clear_line(changes, words):
    with pytest.raises(ValueError) as error:
        check_config(configuration("ices", **changes))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_ices_explores_for_any_mixer():
    ices = load_alg("ices")
    own = {key: ices[key] for key in ices if key.startswith("ices") or key in ("learner", "mac", "step_penalty")}
    check_config(configuration("qatten_a") | own)


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
    "learner, mixer",
    [
        ("qmix_learner", "vdn"), ("mvd_learner", "qmix_a"), ("vdn_learner", "mvd"), ("avf_vdn_learner", "vdn"),
        ("vdn_learner", "avf_vdn"),
    ],
)  # fmt: skip
def test_a_learner_and_a_mixer_of_two_algorithms_are_refused(learner, mixer):
    line = f"two algorithms.* Take --config={mixer}, or set learner={mixer}_learner"
    with pytest.raises(ValueError, match=line):
        check_config(configuration(mixer) | {"learner": learner})


def test_a_mixer_without_a_learner_of_its_name_takes_any_of_ours():
    changes = {"mixer": "boltzmann_heads", "name": "boltzmann_heads", "mvd_form": "boltzmann"}
    check_config(configuration("mvd") | changes)
