# Everything for a machine that has only Python >= 3.11 and make: each target makes .venv first, when it is missing
# or older than what it is made from. Plain enough for GNU make 3.81.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.stamp
EXTRAS := embedded,fast,move,dev

.PHONY: help venv demo test check format bench clean

help:
	@echo "make demo     sample database -> PostgreSQL in ./demo, with progress and verification"
	@echo "make test     all tests"
	@echo "make check    format, lint, types, import contracts, unit tests: under a minute"
	@echo "make format   put the code into its format"
	@echo "make bench    the benchmarks, rivals included"
	@echo "make clean    remove what these commands made"

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: etl needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "preparing $(VENV) (once; about a minute)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@$(BIN)/python -m compileall -q etl
	@touch $@

demo: $(STAMP)
	@$(BIN)/etl demo

test: $(STAMP)
	@# a file's tests stay together: some share a port; in the order of the folders: short files come last
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/unit tests/conventions

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS),bench]'
	@$(BIN)/python -m benchmarks

clean:
	@if [ -x $(BIN)/etl ] && [ -d demo ]; then $(BIN)/etl demo --stop; fi
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
