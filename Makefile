# The project's one task runner; CI runs `make test`.
PYTHON := .venv/bin/python
# What mypy finds out about the SDKs takes it minutes: kept for the next clone, under the versions that it read.
MYPY_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/opstrace/mypy-$(shell sha256sum constraints.txt | cut -c 1-12)
export PYTHONPATH := $(CURDIR)

.PHONY: help setup lint types unit engine e2e security tools test test-nightly schema

help:
	@echo "make test    everything that CI runs: lint, types, unit, engine, e2e, security"
	@echo "make test-nightly  what takes long and no CI waits for"
	@echo "make setup   .venv with all that the tests need"
	@echo "make tools   the big tools that the tests need, fetched or built once"
	@echo "make schema  stacks/opstrace.schema.json from the typed configuration"

setup:
	@./opstrace --help >/dev/null
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt -c constraints.txt

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: setup
	$(PYTHON) -m mypy --cache-dir "$(MYPY_CACHE)" components scripts localcloud bench

unit: setup
	$(PYTHON) -m pytest tests/unit

engine: setup
	$(PYTHON) -m pytest -m "not nightly" tests/engine

e2e: setup
	$(PYTHON) -m pytest -m "not nightly" tests/e2e

security: setup
	$(PYTHON) -m pytest tests/security

tools: setup
	$(PYTHON) -m tests.tools

test: lint types tools
	$(PYTHON) -m pytest -m "not nightly" --numprocesses 4 --dist loadscope --no-loadscope-reorder \
		tests/e2e tests/security tests/engine tests/unit

test-nightly: setup
	$(PYTHON) -m pytest -s -m nightly tests
	$(PYTHON) -m bench.scale
	$(PYTHON) -m bench.terraform

schema: setup
	$(PYTHON) -m components.config > stacks/opstrace.schema.json
