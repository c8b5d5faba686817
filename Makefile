# Needs Python 3.11 to 3.14 and make; everything else is installed below this folder by `make setup`.
# `make` alone lists the targets.

# The first Python that really runs (a version manager's shim may exist and still refuse), the template's own version first.
PYTHON ?= $(shell for v in 3.13 3.12 3.14 3.11 3; do python$$v -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	2>/dev/null && { echo python$$v; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Tools whose pins exclude ours and each other's: see pyproject.toml.
TOOLS := .tools
LOCK = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
SETUP := $(VENV)/.installed $(TOOLS)/sam/.installed $(TOOLS)/ministack/.installed
# sam finds the layer's uv, and the Python whose version it builds for, on the PATH.
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/$(TOOLS)/sam/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# The layer's own build has no other way to learn what it is built for.
export QUITTANCE_RUNTIME ?= python3.13
export QUITTANCE_ARCHITECTURE ?= arm64

.DEFAULT_GOAL := help
.PHONY: help setup run local test check simulate fuzz prove bench build lock clean
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(SETUP) ## install everything the other targets need, below .venv and .tools

run: setup ## the whole thing once, against the embedded sandbox: deploy locally, play events/, prove every document right
	@$(BIN)/python -m tools.milestone

local: setup ## the local stack in the foreground until Ctrl-C; writes build/local.json when it is ready
	@$(BIN)/python -m tools.local

test: setup ## the whole test suite
	@$(BIN)/python -m pytest

# The parameters that bring about every resource, so that the scan sees all of them.
EVERYTHING := EventsQueue=create StripeEventBusName=aws.partner/stripe.com/ed_1 PlatformEventBusName=platform
check: setup $(TOOLS)/checkov/.installed ## what CI runs: format, lint, types, template lint, security scan, then all tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	sam validate --lint
	$(TOOLS)/sam/bin/cfn-lint template.yaml
	$(TOOLS)/sam/bin/python tools/plain_template.py template.yaml build/template.json $(EVERYTHING)
	$(TOOLS)/checkov/bin/checkov --file build/template.json
	$(BIN)/python -m pytest

SEEDS ?= 1000
FIRST ?= 1
simulate: setup ## play SEEDS=n fault histories, from seed FIRST=k on, against the real code; the last line counts the violations
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST)

INPUTS ?= 100000
fuzz: setup ## INPUTS=n mutated deliveries, from seed FIRST=k on, against the real ingress; the last line counts the violations
	@$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --first $(FIRST)

prove: setup ## every order of small cases, every crash point of every scenario, every planted bug
	@$(BIN)/python -m pytest -m exhaustive tests/simulation

bench: setup ## measure what the README promises, as ratios; writes build/bench.json
	@$(BIN)/python -m benchmarks

build: setup ## build for AWS into .aws-sam; QUITTANCE_RUNTIME=python3.13 QUITTANCE_ARCHITECTURE=arm64 unless given
	sam build --parameter-overrides PythonRuntime=$(QUITTANCE_RUNTIME) Architecture=$(QUITTANCE_ARCHITECTURE)

lock: $(UV) ## choose versions anew for pyproject.toml's dependencies and write the lock files
	$(LOCK) pyproject.toml -o shared/requirements.txt
	$(LOCK) -c shared/requirements.txt pyproject.toml --group dev -o requirements/dev.txt
	for group in bootstrap sam ministack checkov; do $(LOCK) --group $$group -o requirements/$$group.txt; done

clean: ## remove everything that was built or installed
	rm -rf $(VENV) $(TOOLS) build .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find functions shared tools tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV): requirements/bootstrap.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 to 3.14 with venv is needed: set PYTHON=/path/to/python' >&2; exit 1; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.installed: requirements/dev.txt pyproject.toml | $(UV)
	@echo 'installing the project and its development tools'
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS)/%/.installed: requirements/%.txt | $(UV)
	@echo 'installing $*'
	@$(UV) venv --quiet --clear --python $(BIN)/python $(TOOLS)/$*
	@$(UV) pip install --quiet --python $(TOOLS)/$*/bin/python --require-hashes -r requirements/$*.txt
	@touch $@
