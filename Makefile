# Each target does its own set-up: a virtual environment in .venv, with the versions of constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable
# On all cores, where pip compiles on one. Some packages hold files that are no Python of this version.
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib src || true

# Else each of the hundred processes that tests start compiles vaelens anew.
export PYTHONDONTWRITEBYTECODE :=

# Shapes are in the annotations of these packages, whose own tests execute them, which takes a fifth of their time.
ANNOTATED := metrics models planted statistics
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal
EXECUTING := --jaxtyping-packages=vaelens.metrics,vaelens.models,vaelens.planted,vaelens.statistics,typechecker.checked

.PHONY: quickstart test lint format docs benchmarks clean

quickstart: $(VENV)/installed
	$(BIN)/vaelens quickstart --out runs/quickstart

test: $(VENV)/installed-dev
	$(MAKE) --jobs 2 lint docs
	$(PYTEST) $(EXECUTING) src $(ANNOTATED:%=tests/%)
	$(PYTEST) tests $(ANNOTATED:%=--ignore=tests/%)

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The gallery is run again where its programs changed. Warnings, such as a link that leads nowhere, are errors.
docs: $(VENV)/installed-docs
	rm -rf docs/api
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html
	@echo "the documentation: docs/_build/html/index.html"

benchmarks: $(VENV)/installed-benchmarks
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache build dist runs docs/_build docs/api docs/gallery

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vaelens needs Python 3.11 or newer; say which with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) .
	$(COMPILE)
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) '.[dev]'
	$(COMPILE)
	touch $@ $(VENV)/installed $(VENV)/installed-docs

$(VENV)/installed-docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) '.[docs]'
	$(COMPILE)
	touch $@ $(VENV)/installed

$(VENV)/installed-benchmarks: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) '.[benchmarks]'
	$(COMPILE)
	touch $@ $(VENV)/installed
