# Every target is repeatable; `make setup` runs first where it is needed and takes a second when all is there.
PYTHON := .venv/bin/python
CUSTODY := .venv/bin/custody
PYTEST := $(PYTHON) -m pytest
# Whole files go to two processes, each with servers of its own.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo up down clean check test test-servers test-full soak bench

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## install everything
	@deploy/setup.sh

demo: setup ## run a sample agent through the embedded stack, print its trail, verify it
	@$(CUSTODY) demo

up: setup ## start the embedded stack and leave it running
	@$(CUSTODY) up

down: ## stop the embedded stack; its data stays
	@if [ -x $(CUSTODY) ]; then $(CUSTODY) down; fi

clean: ## stop the stack, remove its data and what setup made; says what
	@deploy/clean.sh

check: setup ## lint, types, import contract
	@$(PYTHON) -m ruff format --check --quiet .
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo
	@$(PYTEST) tests/test_layout.py

test: setup ## every test that needs no server built from source
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not soak and not servers"

test-servers: setup ## build the servers that no registry offers into the cache
	@$(PYTHON) -m tests.servers.build

test-full: test-servers ## every test but the long ones
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not soak"

soak: setup ## the long chaos and fuzz runs
	@$(PYTEST) -m soak

bench: setup ## measure; writes bench/results.json
	@set -e; for name in $$(grep -l __main__ bench/*.py | xargs -n1 basename -s .py | grep -vx table) table; do \
		$(PYTHON) -m bench.$$name; done
