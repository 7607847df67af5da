"""The paper's ablations, one command each: `python -m benchmarks.ablations --help`."""
