# `make` alone explains itself. Everything runs from .venv, made from the hash-locked requirements.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UNIT := tests/unit
COUNT ?= 1000000
SEED ?= 1
export PYTHONDONTWRITEBYTECODE ?=

.PHONY: help setup demo up test test-unit fuzz lint format bench lock clean

help: ## What can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/run.stamp: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] < (3, 14) else "tradebus needs Python 3.11 to 3.13; name one: make PYTHON=python3.11 demo")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/warm.stamp: .venv/run.stamp
	$(BIN)/python -m compileall -q libs services
	$(BIN)/python -m tradebus.indicators.warm
	$(BIN)/python -m tradebus.strategies.warm
	$(BIN)/python -m tradebus.engine.warm
	$(BIN)/python -m tradebus.brokers.warm
	$(BIN)/python -m services.sandbox.warm
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

setup: .venv/warm.stamp ## Virtual environment, locked dependencies, compiled kernels

demo: .venv/warm.stamp ## A whole generated trading day over every service, then its report
	$(BIN)/tradebus demo

up: .venv/warm.stamp ## Every service, waiting for START_TRADING, until you press Ctrl-C
	$(BIN)/tradebus up

test: .venv/dev.stamp .venv/warm.stamp ## The whole suite on embedded Postgres and Redis (Docker tests where an engine answers)
	$(BIN)/pytest -q -n auto --dist worksteal

.venv/tests.stamp: .venv/dev.stamp .venv/warm.stamp
	$(BIN)/pytest -q --collect-only > /dev/null  # the tests as pytest compiles them, for every worker
	@touch $@

test-unit: .venv/dev.stamp .venv/warm.stamp ## Only what needs no server: under a minute
	$(BIN)/pytest -q -n auto --dist worksteal $(UNIT)

fuzz: .venv/dev.stamp .venv/warm.stamp ## A million mutated frames through each broker's decoder (COUNT=, SEED=)
	PYTHONPATH=tests $(BIN)/python -m testkit.fuzz $(COUNT) $(SEED)

lint: .venv/dev.stamp ## ruff, mypy --strict, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp ## Lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/warm.stamp ## Throughput and latency, each beside its floor
	$(BIN)/tradebus bench

lock: .venv/dev.stamp ## Pin every dependency again, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" requirements/base.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" requirements/dev.in -o requirements-dev.txt

clean: ## Remove the virtual environment and caches (your data stays)
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
