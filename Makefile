# The README's commands. Each installs what it needs into .venv, from the hashed locks, and again only when a lock changed:
# once installed, they need no network, except for the packages of consumers' layers, which are fetched once and kept in
# ~/.cache/weir.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test test-policy test-local test-browser test-search test-faults test-engine engine coverage check format property benchmark docs golden policy-pack test-policy-pack lock clean
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/local.installed ## Run the whole program here: upgrades, mails, dead letters
	$(BIN)/weir demo

# Tests that start nothing, those of whole programs (what the pack, AWS's schemas and their own tests say), and those that
# start the local endpoint and commands; the others have targets of their own.
POLICY := tests/policy tests/unit/aws_checks $(addprefix tests/unit/,components/test_program.py \
          components/test_operator_outputs.py test_diagram.py)
ALONE  := $(foreach folder,tests/local tests/engine tests/search tests/browser $(POLICY),--ignore $(folder))
LOCAL  := --no-loadscope-reorder tests/local --ignore tests/local/faults

test: $(VENV)/dev.installed ## Run the tests that start nothing, and the documents' examples
	$(BIN)/python -m pytest -n auto --dist loadfile $(ALONE)

test-policy: $(VENV)/dev.installed ## Run whole programs under mocks: the policy pack, AWS's own schemas, each stack
	$(BIN)/python -m pytest -n auto --dist loadfile $(POLICY)

test-local: $(VENV)/dev.installed ## Run the tests end to end on the local endpoint (about ten minutes)
	$(BIN)/python -m pytest -n auto --dist loadfile $(LOCAL)

test-faults: $(VENV)/dev.installed ## Break every part under the whole program, and look for lost and repeated effects
	$(BIN)/python -m pytest tests/local/faults

engine: $(VENV)/local.installed ## Find the Pulumi CLI, or build it with Go (once, about four minutes)
	$(BIN)/python -m local.pulumi_host.cli

test-engine: $(VENV)/dev.installed engine ## Run the tests under the real Pulumi engine, without an AWS account
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/engine

test-browser: $(VENV)/dev.installed ## Let a page in headless Chromium attack the endpoint (needs Chromium)
	$(BIN)/python -m pytest tests/browser

test-search: $(VENV)/dev.installed ## Run the tests of the search index on a real OpenSearch (needs Java 17 and Maven)
	$(BIN)/python -m pytest tests/search

coverage: $(VENV)/dev.installed ## Run all three, and fail below 96 % of lines and branches (takes longer)
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report= $(ALONE)
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-append --cov-report= $(POLICY)
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=96 $(LOCAL)

check: $(VENV)/dev.installed ## Lint, format, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache

format: $(VENV)/dev.installed ## Rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

property: $(VENV)/dev.installed ## Search long (PROPERTY_EXAMPLES=10000, PROPERTY_SEED=…)
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n auto tests/property

benchmark: $(VENV)/dev.installed ## Measure, each figure beside its alternative in one run
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python -P "$$script" || exit 1; done

docs: $(VENV)/dev.installed ## Write the pages that are made from the code and its tests
	$(BIN)/python -m tools.component_pages
	$(BIN)/python -m tools.conformance
	$(BIN)/python -m tools.import_graph
	$(BIN)/python -m tools.local_operations
	$(BIN)/python -m tools.policy_docs
	$(BIN)/python -m tools.runbook
	$(BIN)/python -m tools.scenario_pictures
	$(BIN)/python -m tools.diagrams
	$(BIN)/python -m tools.which_way

golden: $(VENV)/dev.installed ## List each stack's resources anew, after a change of them that you mean
	$(BIN)/python -m tools.golden

policy-pack: $(VENV)/dev.installed ## Gather the policy pack into dist/policies, to run it elsewhere
	$(BIN)/python -m tools.policy_pack

test-policy-pack: policy-pack ## Run dist/policies from elsewhere, in an environment of its own
	rm -rf build/policy-venv && $(PYTHON) -m venv build/policy-venv
	build/policy-venv/bin/python -m pip --disable-pip-version-check --quiet install --no-compile --require-hashes -r dist/policies/requirements.txt
	WEIR_POLICY_PYTHON=$(CURDIR)/build/policy-venv/bin/python $(BIN)/python -m pytest tests/policy/test_started_pack.py

lock: ## Resolve requirements/*.in again into hashed locks (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras --quiet \
	  --custom-compile-command 'make lock' requirements/dev.in -o requirements/dev.txt
	for part in deploy local policy postgresql redis search; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras --quiet \
	    --custom-compile-command 'make lock' -c requirements/dev.txt requirements/$$part.in -o requirements/$$part.txt; done

clean: ## Remove the virtual environment and every cache
	rm -rf $(VENV) build dist .coverage* .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Weir needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# --no-compile: modules are compiled when they are first imported, which is a third of the time of compiling them all.
$(VENV)/local.installed: requirements/local.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing requirements/local.txt into $(VENV) (the first time takes about half a minute)"
	$(PIP) install --no-compile --require-hashes -r requirements/local.txt
	$(PIP) install --no-compile --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.installed: requirements/dev.txt $(VENV)/local.installed
	@echo "installing requirements/dev.txt into $(VENV)"
	$(PIP) install --no-compile --require-hashes -r requirements/dev.txt
	@touch $@
