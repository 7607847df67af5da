"""Agents: networks that turn an agent's history into utilities."""

# name -> "module:attribute", imported on use
AGENTS = {
    "rnn": "plugins.agents.rnn:RnnAgent",
    "rnn_individual": "plugins.agents.individual:IndividualRnnAgent",
}
