"""Modules that stand in for optional or dropped ones; this folder goes to the end of a host's search path."""
