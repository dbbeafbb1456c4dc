# Each target sets up what it needs in .venv. Stamp files there that are older than pyproject.toml
# mark the environment as out of date.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Number of parallel test processes.
JOBS ?= 2

# docs/words.txt is checked in code too, docs/words_in_pages.txt in pages and config files only.
PAGES := README.md CONTRIBUTING.md CHANGELOG.md docs
NOT_PAGES := *.py,docs/api.md

.PHONY: help first-run test lint format api wheel clean

help:
	@echo "make first-run   set up, and fine-tune on the sample reviews that ship with Tunebook"
	@echo "make test        set up for development, and run the tests"
	@echo "make lint        ruff, codespell, import-linter and mypy"
	@echo "make format      format the code with ruff"
	@echo "make api         generate docs/api.md from the docstrings"
	@echo "make wheel       build the wheel into dist/"
	@echo "make clean       delete build outputs; keeps .venv and runs/"

first-run: $(VENV)/.installed
	$(BIN)/tunebook train recipe=review_sentiment

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell $(PAGES) conf core recipes pretraining benchmarks
	$(BIN)/codespell --dictionary docs/words_in_pages.txt --skip '$(NOT_PAGES)' $(PAGES) conf
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

api:
	$(PYTHON) docs/make_api.py

wheel: $(VENV)/.installed clean
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

# setuptools also packs stale files in build/lib.
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
