# Everything here needs only make and Python 3.11 or newer; `setup` makes .venv from the hashed lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MARK := $(VENV)/.made-of-lock

.PHONY: help setup demo run test services check bench bench-peers bench-full bench-gate docs lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(MARK) ## Make .venv

$(MARK): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rosterhook needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(MARK)

demo: setup ## A simulated Okta org, synced into data/users.db, live in this terminal
	@$(BIN)/rosterhook demo $(ARGS)

run: setup ## The service, with rosterhook.toml or .env of this folder
	@$(BIN)/rosterhook serve $(ARGS)

test: setup ## Every test; those whose server is not installed are skipped with a reason
	$(BIN)/python -m pytest $(ARGS)

services: ## Fetch a fake of Okta that others wrote, for the tests that need it (by npm)
	cd tests/contract/emulate && npm ci

check: setup ## Format, lint, types, import rules, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate_configuration.py --check
	$(BIN)/python -m bench.page --check
	$(BIN)/python -m sphinx --quiet --fail-on-warning --builder dummy docs docs/_build/dummy

bench-peers: ## Fetch what the full benchmark compares with (by npm; it needs a C++ compiler and Node's headers)
	cd bench/peers/tutorial && npm ci

bench: setup ## What this machine does: deliveries, users, calls, memory; ARGS="calls" for one part
	$(BIN)/python -m bench $(ARGS)

bench-full: setup ## The same at length and beside everybody else's, kept for docs/benchmarks.md (an hour and a half)
	$(BIN)/python -m bench --full $(ARGS)
	$(BIN)/python -m bench.page

bench-gate: setup ## Fail when a ratio has fallen under its floor (minutes)
	$(BIN)/python -m bench.gate

docs: setup ## The documentation as HTML in docs/_build/html
	$(BIN)/python -m sphinx --quiet --fail-on-warning --builder html docs docs/_build/html
	@echo docs/_build/html/index.html

lock: ## Resolve requirements.lock anew (needs uv)
	uv export --python 3.11 --format requirements-txt --no-emit-project --no-header --upgrade --output-file requirements.lock

clean: ## Remove what was made
	rm -rf $(VENV) docs/_build tests/contract/emulate/node_modules bench/peers/tutorial/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
