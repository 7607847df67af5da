"""Agents: networks that turn an agent's history into utilities."""

AGENTS = {"rnn": "plugins.agents.rnn:RnnAgent"}  # name -> "module:attribute", imported on use
