"""Runners: from a controller and a simulator to batches of episodes."""

RUNNERS = {"vector": "plugins.runners.vector:VectorRunner"}  # name -> "module:attribute"
