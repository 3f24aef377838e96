# The project's task runner. CI runs `make test`; `make help` lists all targets.
PYTHON := .venv/bin/python -P
# A cold type check of the SDKs takes minutes. The cache is shared by all checkouts with the same lock files.
MYPY_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/opstrace/mypy-$(shell cat requirements.lock localcloud/requirements.lock tests/requirements.lock | cksum | cut -d ' ' -f 1)
export PYTHONPATH := $(CURDIR)

# Every file of each release gets its hash, for each Python from 3.11 on and each platform; no package is built from source.
# `make lock UPGRADE=--upgrade` takes the newest versions that the requirements files allow.
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --emit-build-options \
	--generate-hashes --no-annotate --custom-compile-command "make lock" $(UPGRADE)

.PHONY: help setup lint types unit integration e2e security tools test test-nightly bench schema docs lock vendor audit sbom

help: ## list all targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## .venv with everything that the tests need, by lock files with hashes
	@./opstrace --help >/dev/null
	@$(PYTHON) scripts/clients/packages.py "$(CURDIR)" local tests

lint: setup ## ruff and luacheck; `pre-commit install` runs it before each commit
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m tests.support.luacheck

types: setup ## mypy --strict over all code and tests
	$(PYTHON) -m mypy --cache-dir "$(MYPY_CACHE)" components scripts localcloud supplychain bench reference tests __main__.py

unit: setup ## unit tests: no cloud, no big tools
	$(PYTHON) -m pytest tests/unit

integration: setup ## real Pulumi, Envoy, Cortex, Loki and Kubernetes API, each alone
	$(PYTHON) -m pytest -m "not nightly" tests/integration

e2e: setup ## the embedded cloud with a real cluster
	$(PYTHON) -m pytest -m "not nightly" tests/e2e

security: setup ## hostile requests, and the cost of attacks
	$(PYTHON) -m pytest -m "not nightly" tests/security

tools: setup ## fetch or build the big tools, once per user
	$(PYTHON) -m tests.support.tools

# Four groups of tests share two cores, so a bound on a wait can be too short. Only exit code 1 means "tests failed".
test: lint types tools ## everything that CI runs; tests that fail beside others run once more, alone
	$(PYTHON) -m pytest -m "not nightly" --numprocesses 4 --dist loadscope --no-loadscope-reorder \
		tests/e2e tests/security tests/integration tests/unit || { [ $$? = 1 ] && $(AGAIN); }

AGAIN := echo "The tests that failed run once more, without others beside them." && \
	$(PYTHON) -m pytest -m "not nightly" --last-failed --last-failed-no-failures none --maxfail 3 tests

test-nightly: setup ## kills, outages, replicas and benches (2 h)
	$(PYTHON) -m pytest -s -m nightly tests
	$(PYTHON) -m bench.scale
	$(PYTHON) -m bench.terraform

bench: setup ## measure everything that has a target (7 h); BENCHES="first_200 gateway" runs some
	$(PYTHON) -m bench $(BENCHES)

schema: setup ## write stacks/opstrace.schema.json from the typed configuration
	$(PYTHON) -m components.config.schema > stacks/opstrace.schema.json

docs: setup ## write the generated reference pages, and build the documentation into site/
	$(PYTHON) -m reference
	$(PYTHON) -m mkdocs build --strict
	@echo "open site/index.html"

lock: setup ## write the lock files, with hashes, from the requirements files
	$(LOCK) -o requirements.lock requirements.txt
	$(LOCK) -o localcloud/requirements.lock -c requirements.lock localcloud/requirements.txt
	$(LOCK) -o tests/requirements.lock -c requirements.lock -c localcloud/requirements.lock tests/requirements.txt
	$(LOCK) -o localcloud/toolchain/requirements.lock localcloud/toolchain/requirements.txt

vendor: setup ## write the front-end files of others, by their lock files; needs npm
	$(PYTHON) -m supplychain.vendored $(ACCEPT)

audit: setup ## look for known vulnerabilities of the Python packages and the Go tools
	$(PYTHON) -m supplychain.audit

sbom: setup ## write sbom.cdx.json, the bill of materials in the CycloneDX format
	$(PYTHON) -m supplychain.sbom
