# Every target sets up what it needs into .venv and is quick the second time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.sa3dhp-installed
PLUGINS := $(sort $(patsubst %/pyproject.toml,%,$(filter-out plugins/_%,$(wildcard plugins/*/pyproject.toml))))
DEMO := runs/demo

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint clean

help:
	@echo "make setup   virtual environment in $(VENV), all parts installed from this folder"
	@echo "make demo    the recipe quickstart into $(DEMO): prints the table, names the report"
	@echo "make test    the quick suite"
	@echo "make lint    style, types and import contracts"
	@echo "make bench   every benchmark, in order"
	@echo "make clean   removes what can be made again (not $(VENV), not runs/)"

setup: $(STAMP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "sa3dhp needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The build backend comes first and is shared by all parts: nine isolated builds would each fetch it again.
# One call installs all parts, because the plugins require `sa3dhp`, which only this folder provides.
$(STAMP): pyproject.toml constraints.txt $(PLUGINS:%=%/pyproject.toml) | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt hatchling editables
	$(BIN)/python -m pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e '.[dev]' $(PLUGINS:%=-e ./%)
	@touch $@

# Runs from nothing the first time, goes on where it was interrupted, computes anew only what a changed recipe touches,
# and shows a finished run again. The command itself names the report, where there is one.
demo: $(STAMP)
	@$(BIN)/sa3dhp run quickstart --out $(DEMO)

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not thorough"

bench: $(STAMP)
	@set -e; for question in $(sort $(wildcard benchmarks/[!_]*.py)); do echo "== $$question"; $(BIN)/python $$question; done

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

clean:
	rm -rf build dist .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find sa3dhp_core plugins tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
