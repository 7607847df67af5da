# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# EPyMARL's descendant on PyPI: the third-party host that the tests run in (its own pins are older).
HOST := pymarlzooplus==1.1.0
HOST_NEEDS := opencv-python-headless pandas scipy seaborn scikit-learn networkx

ifneq ($(wildcard ../shared/reference/mixer_parity),)
export MIXER_PARITY ?= $(abspath ../shared/reference/mixer_parity)
endif
ifneq ($(wildcard ../shared/reference/overcooked_traces),)
export OVERCOOKED_TRACES ?= $(abspath ../shared/reference/overcooked_traces)
endif

.PHONY: help install demo test lint mutants bench verify-gpu clean

help:
	@echo "make install  make $(VENV) with the pinned versions"
	@echo "make demo     train MVD on async:poac-1 for about five minutes and draw curve.png"
	@echo "make test     everything that CI runs"
	@echo "make mutants  break VSP in many small ways, see that the tests notice, write the table of docs/theory.md"
	@echo "make bench    speed tables with ratios"
	@echo "make verify-gpu  train short runs on the GPU and verify them, reports in docs/evidence/"

install: $(VENV)/.installed
	@echo "Activate it with: . $(BIN)/activate"

$(VENV)/.installed: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt "setuptools<81" wheel
	$(PIP) install --quiet --constraint constraints.txt --editable ".[leaderboard]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --editable ".[leaderboard,test]"
	$(PIP) install --quiet --constraint constraints.txt $(HOST_NEEDS)
	$(PIP) install --quiet --no-deps $(HOST)
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m benchmarks.demo

lint: $(VENV)/.installed-test
	$(BIN)/flake8
	$(BIN)/lint-imports
	$(BIN)/mypy

# Three ways: compiled, with bounds checked, and interpreted (compiled lines are invisible to coverage).
# Small linear systems are solved many times over, which several BLAS threads only slow down.
# Every core runs tests; a file's tests stay together, as they share what they trained.
test: export OMP_NUM_THREADS := 1
test: PYTEST := $(BIN)/python -m pytest --numprocesses logical --dist loadfile
test: lint
	$(PYTEST)
	NUMBA_BOUNDSCHECK=1 $(PYTEST) tests/async_envs -m "not slow"
	OVERCOOKED_TRACES= NUMBA_DISABLE_JIT=1 $(PYTEST) tests/async_envs -m "not slow"

mutants: $(VENV)/.installed-test
	$(BIN)/python -m tests.mutation --write docs/theory.md

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.speed

verify-gpu: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.verify_gpu

clean:
	rm -rf $(VENV) build *.egg-info
