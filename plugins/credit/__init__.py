"""Credit on show: an episode played greedily, and what the mixer says about each of its steps."""
