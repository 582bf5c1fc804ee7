# Each target does its own set-up: a fresh clone and `make run` are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: run test check report benchmark gpu campaign clean

run: $(VENV)/run.done
	$(BIN)/python experiments/run.py --model gato --env hopper-medium

test: $(VENV)/dev.done
	$(BIN)/python -m pytest

check: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python experiments/report.py --check --readme

report: $(VENV)/run.done
	$(BIN)/python experiments/report.py --readme

benchmark: $(VENV)/dev.done
	$(BIN)/python -m benchmarks

gpu:  # with a torch that has CUDA, which this project's own environment has not
	$(PYTHON) -m benchmarks.gpu

campaign: $(VENV)/dev.done
	$(BIN)/python -m campaign

$(VENV)/run.done: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is older: make PYTHON=python3.11 ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/dev.done: $(wildcard requirements*.txt) $(VENV)/run.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info
