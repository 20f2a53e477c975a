# Set-up, tests and checks of podctl. `make` alone prints the targets: each is a line `target: … ## text`.
# Variables: PYTHON=python3.12  JOBS=3  ARGS=…  SEEDS=100000  CASES=FOLDER  BENCH="start tail"

VENV   ?= .venv
# The first interpreter that is new enough; PYTHON=… chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP     = $(VENV)/bin/python -m pip --disable-pip-version-check
BIN     = $(VENV)/bin
JOBS   ?= 3
ARGS   ?=
SEEDS  ?= 2000
CASES  ?= ../shared/cases
BENCH  ?= start look weight overhead tail transfer ledger many

.DEFAULT_GOAL := help
.PHONY: help setup demo test long check secrets audit bench bench-gpu simulate chaos cases examples reliability \
	rebuild-small clean system
.DELETE_ON_ERROR:

help: ## Print this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(VENV)/.dev ## Create .venv with podctl (editable) and the development tools.

demo: $(VENV)/.demo ## Run the full plan on the emulator, from nothing to five locked stages.
	@$(BIN)/python -m controller.demo $(ARGS)

test: check ## Run every check, and every test but the long ones.
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

long: $(VENV)/.dev ## Run the long tests; each has a shorter sibling in `make test`.
	$(BIN)/python -m pytest -n $(JOBS) -m long $(ARGS)

check: $(VENV)/.dev ## Check lint, format, types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Status 3 is not a finding: detect-secrets updated line numbers in the baseline.
secrets: $(VENV)/.dev ## Look for secrets in the repository (offline).
	@$(BIN)/detect-secrets-hook --no-verify --baseline .secrets.baseline \
		$$(git ls-files ':!*.lock' ':!.secrets.baseline'); \
	status=$$?; [ $$status = 0 ] || [ $$status = 3 ]

audit: $(VENV)/.audit ## Ask PyPI's advisories about the locked dependencies.
	@found=$$($(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		-r requirements.lock -r remote/requirements.lock); status=$$?; \
	if [ $$status = 0 ]; then echo "audit: no known weakness"; \
	elif [ -n "$$found" ]; then echo "$$found"; echo "audit: WEAKNESSES, above"; exit 1; \
	else echo "audit: NOTHING WAS CHECKED: the advisory service could not be asked"; exit 3; fi

bench: $(VENV)/.dev ## Measure the figures of docs/benchmarks.md.
	@$(BIN)/python -m tests.bench.all $(BENCH) $(ARGS)

# ARGS="--part training --repeats 1" chooses; without CUDA it says so.
bench-gpu: $(VENV)/.demo ## Measure the stages' work on a CUDA device, at the 32B shape (docs/gpu.md).
	@$(BIN)/python -m tests.bench.gpu_rates $(ARGS)

rebuild-small: $(VENV)/.demo ## Rebuild the small base model and compare it (minutes).
	@rm -rf build/small && mkdir -p build
	$(BIN)/python -m remote.stages.small_model.build --out build/small
	$(BIN)/python -m remote.stages.small_model.compare build/small

simulate: $(VENV)/.dev ## Simulate SEEDS histories in virtual time.
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

reliability: $(VENV)/.dev ## Run every row of the fault matrix and write docs/reliability.md.
	@$(BIN)/python -m tests.support.reliability_page

# ARGS="trl --seed 3" chooses a project and a seed.
examples: $(VENV)/.dev ## Run the projects of docs/how-to, each interrupted at random.
	@$(BIN)/python -m tests.how_to_run $(ARGS)

cases: $(VENV)/.dev ## Run the small projects in CASES on an emulator.
	@$(BIN)/python -m tests.end_to_end.cases $(CASES) $(ARGS)

# ARGS="--share 0.1" takes a tenth; ARGS="--results-log FILE" continues an interrupted sweep.
chaos: $(VENV)/.dev ## Kill podctl at every commit and system call (a night).
	@$(BIN)/python -m tests.crash.sweep $(ARGS)

clean: ## Remove .venv, build outputs and caches.
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# What podctl itself needs comes by hash. The training stack and the tools come by version alone: a
# hash of torch would be that of one index's wheel, and a machine may have another build of it.
$(VENV)/.dev: pyproject.toml requirements.lock $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.audit: pyproject.toml $(VENV)/bin/python
	$(PIP) install --quiet 'pip-audit>=2.9'
	@touch $@

$(VENV)/.demo: pyproject.toml requirements.lock $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "podctl needs Python 3.11 or newer: install it, or say PYTHON=…"; exit 1; }
	@$(MAKE) --no-print-directory system
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet 'pip>=24'

# What pip cannot install. As root on Debian this installs it; elsewhere it prints what is missing. Only
# venv is required: without sshd the emulator's pods use an embedded server, only the benchmarks use
# rsync, and without strace and faketime some tests are skipped.
system:
	@want=""; PATH="$$PATH:/usr/sbin:/sbin"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || want="$$want python3-venv"; \
	command -v sshd >/dev/null || want="$$want openssh-server"; \
	command -v ssh >/dev/null || want="$$want openssh-client"; \
	command -v rsync >/dev/null || want="$$want rsync"; \
	command -v strace >/dev/null || want="$$want strace"; \
	command -v faketime >/dev/null || want="$$want faketime"; \
	test -n "$$want" || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing:$$want"; \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
			--no-install-recommends install $$want; } >/dev/null 2>&1 \
			|| echo "could not install:$$want (going on without)"; \
	else \
		echo "not here, and not installed without root on Debian:$$want (going on without)"; \
	fi
