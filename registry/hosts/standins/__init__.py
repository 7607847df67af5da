"""Modules that stand in for optional packages; this folder goes to the end of a host's search path."""
