# `make` alone prints what there is to make. Each target brings what it needs, and does nothing twice.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# Tests that share a server stay on one process (tests/conftest.py); `make test PROCESSES=0` runs all on this one.
PROCESSES ?= 3
# The environment is made anew when the locks or the project's own settings change.
SETUP := $(VENV)/.setup
SETUP_DEV := $(VENV)/.setup-dev
# The tools that Darkroom is compared with live in an environment of their own.
BENCH_VENV := .venv-bench
SETUP_BENCH := $(BENCH_VENV)/.setup

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: $(SETUP) ## Make .venv with exactly the locked packages (PYTHON=... chooses the interpreter)

$(SETUP): requirements.lock pyproject.toml ops/setup.sh
	@sh ops/setup.sh $(VENV) requirements.lock
	@rm -f $(SETUP_DEV)
	@touch $@

.PHONY: setup-dev
setup-dev: $(SETUP_DEV) ## As setup, with the tools for tests and checks

$(SETUP_DEV): requirements-dev.lock pyproject.toml ops/setup.sh
	@sh ops/setup.sh $(VENV) requirements-dev.lock
	@touch $(SETUP) $@

.PHONY: demo
demo: $(SETUP) ## Render the example manifest from end to end, then stop everything
	@$(BIN)/darkroom demo

.PHONY: test
test: $(SETUP_DEV) ## Run the whole suite
	@$(BIN)/pytest -n $(PROCESSES) $(PYTEST)

.PHONY: rules
rules: $(SETUP_DEV) ## Run the tests of the pure rules; fail unless they alone take every branch of them
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n $(PROCESSES) tests/*/rules
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --include='worker/*/rules/*' --fail-under=100

.PHONY: coverage
coverage: rules ## As rules, then run the whole suite with branch coverage, report it and write docs/coverage.md
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n $(PROCESSES)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report
	@$(BIN)/python -m ops.coverage_table

.PHONY: check
check: $(SETUP_DEV) ## Lint, formatting, types, who may import whom, how long modules are, and what migrations lock
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@sh ops/lengths.sh
	@$(BIN)/python -m ops.lint_migrations

.PHONY: site
site: $(SETUP_DEV) ## Build the documents as a site in site/; fails for a broken link
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(SETUP_BENCH): requirements-bench.lock pyproject.toml ops/setup.sh
	@sh ops/setup.sh $(BENCH_VENV) requirements-bench.lock
	@touch $@

.PHONY: bench
bench: $(SETUP_BENCH) ## Measure speed, beside other tools too (BENCH="throughput --quick" chooses)
	@$(BENCH_VENV)/bin/python -m ops.bench $(BENCH)

.PHONY: lock
lock: ## Make the locks anew from pyproject.toml (needs uv)
	@sh ops/lock.sh

.PHONY: clean
clean: ## Stop the services; remove .venv and caches, but never data
	@if [ -x $(BIN)/darkroom ]; then $(BIN)/darkroom services stop; fi
	@rm -rf $(VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
