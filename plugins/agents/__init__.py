"""Agents: networks that turn an agent's history into utilities, or the logits of a policy."""

# name -> "module:attribute", imported on use
AGENTS = {
    "rnn": "plugins.agents.rnn:RnnAgent",
    "rnn_individual": "plugins.agents.individual:IndividualRnnAgent",
}

# those that `policy_mac` can act with
POLICIES = {
    "individual_actors": "plugins.agents.macro:IndividualActors",
    "rnn": "plugins.agents.rnn:RnnAgent",
}
