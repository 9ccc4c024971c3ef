# `make demo` and `make test` are all a newcomer needs; both install what they use into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
HALLE_REQUIRE ?=
# Test processes side by side; tests of one file stay together and share what they started.
JOBS ?= 2
export HALLE_REQUIRE
# Keyed accounts, keystores and chains of a developer's own node must never leak into a test.
unexport HALLE_HOME

PACKAGES := protocol/halle_protocol contracts/halle_contracts node/halle_node storefront/halle_storefront cli/halle_cli

.PHONY: help demo test check bench bench-gas mutants soak abi docs tools constraints clean

help:
	@echo "make demo [ARGS=--exit]   a whole market on this machine, told as a story (Python >= 3.11 only)"
	@echo "make test                 the whole suite; HALLE_REQUIRE=all turns a missing tool into a failure"
	@echo "make check                format, lint, types, import rule, documentation"
	@echo "make bench                measure against the bars and write docs/benchmarks.md"
	@echo "make bench-gas            measure what the contracts cost and write docs/gas.md"
	@echo "make mutants              change the contracts line by line; every mutant must die or be explained"
	@echo "make soak [ARGS='--minutes 60 contracts']   the long runs that find what a test has no time for"
	@echo "make abi                  compile the contracts and rewrite the committed artifacts (needs npm)"
	@echo "make docs                 rewrite the generated parts of docs/"
	@echo "make constraints          resolve the dependencies again and pin them with hashes"
	@echo "make clean                remove what the commands above made, apart from the artifacts"

demo: $(VENV)/.installed-node
	@$(BIN)/halle demo $(ARGS)

test: $(VENV)/.installed-dev tools
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/build.py --check
	$(BIN)/python docs/contract_tables.py --check

bench: $(VENV)/.installed-dev
	$(BIN)/python tests/bench $(ARGS)

bench-gas: $(VENV)/.installed-dev
	$(BIN)/python contracts/script/gas.py

# Most of an hour; RESULTS keeps the verdicts, so that a run that was stopped goes on where it was.
mutants: $(VENV)/.installed-dev contracts/node_modules/.installed
	$(BIN)/python contracts/script/mutants.py $(if $(RESULTS),--results $(RESULTS)) $(ARGS)

soak: $(VENV)/.installed-dev tools
	$(BIN)/python tests/soak $(ARGS)

abi: contracts/node_modules/.installed $(VENV)/.installed-dev
	cd contracts && node script/compile.mjs
	$(BIN)/python contracts/script/deployments.py

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/build.py
	$(BIN)/python docs/contract_tables.py

# What only the tests need and pip cannot bring. Each is optional unless HALLE_REQUIRE=all.
tools: $(VENV)/.installed-dev
	@HALLE_REQUIRE=$(HALLE_REQUIRE) VENV=$(VENV) sh tests/tools.sh

contracts/node_modules/.installed: contracts/package-lock.json
	cd contracts && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Halle needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "python -m venv failed. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }

# The node's own dependencies, each checked against its hash; the project itself is then linked in place.
$(VENV)/.installed-node: constraints.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Halle into $(VENV) (about a minute the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: constraints-dev.txt $(VENV)/.installed-node
	@echo "Installing the test tools into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints-dev.txt
	@touch $@

constraints:
	@command -v uv >/dev/null || { echo "make constraints needs uv (pip install uv)"; exit 1; }
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra node --extra build pyproject.toml -o constraints.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra node --extra build --extra dev -c constraints.txt pyproject.toml -o constraints-dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		contracts/analysis.in -o contracts/analysis.txt

clean:
	rm -rf $(VENV) .tools contracts/node_modules tests/interop/js/node_modules contracts/out contracts/cache .pytest_cache .mypy_cache .ruff_cache
