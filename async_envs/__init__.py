"""Worlds for asynchronous cooperative multi-agent reinforcement learning."""
