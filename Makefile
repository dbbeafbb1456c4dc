# Each target does all the set-up that it needs, in .venv. The stamp files in there are older than
# pyproject.toml when the environment is out of date.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that share the tests, a file each at a time.
JOBS ?= 2

.PHONY: help first-run test lint format api wheel clean

help:
	@echo "make first-run   set up, and tune on the sample reviews that ship with Tunebook"
	@echo "make test        set up for development, and run the tests"
	@echo "make lint        ruff, mypy, and which package may import which"
	@echo "make format      let ruff put the code in order"
	@echo "make api         write docs/api.md from the docstrings"
	@echo "make wheel       build the wheel into dist/"
	@echo "make clean       delete what was built; .venv and runs/ stay"

first-run: $(VENV)/.installed
	$(BIN)/tunebook train recipe=review_sentiment

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

api:
	$(PYTHON) docs/make_api.py

wheel: $(VENV)/.installed clean
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

# setuptools packs whatever lies in build/lib, files deleted long ago too.
clean:
	rm -rf build dist tunebook.egg-info

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Tunebook needs Python 3.10 or later: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $(VENV)/.installed $@
