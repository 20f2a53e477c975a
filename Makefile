# make demo    the whole plan on the embedded cloud, from nothing to five locked stages
# make test    every check and every test but the long ones
# make long    tests of which make test has a shorter sibling
# make check   the checks alone: lint, format, types, import rules
# make secrets what looks like a secret in the repository, and is not known to be none (offline)
# make audit   known weaknesses of what podctl and its jobs depend on (asks PyPI's advisories)
# make simulate   whole histories in virtual time: SEEDS=100000 of them
# make reliability   run every row of the fault matrix and write docs/reliability.md
# make bench   the figures of docs/benchmarks.md
# make rebuild-small   build the small base model again, and compare (some minutes)
# make chaos   podctl killed at every commit and system call; a night: ARGS="--share 0.1" for a tenth,
#              ARGS="--diary FILE" goes on where an earlier one was broken off
# make examples   the projects of docs/how-to, each interrupted at random: ARGS="trl --seed 3"
# make cases   small projects of other people, played on an emulator: CASES=FOLDER
# make setup   only what the others need; make clean forgets it

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
BENCH  ?= start overhead tail transfer ledger many

.PHONY: setup demo test long check bench simulate chaos cases examples reliability rebuild-small clean system
.DELETE_ON_ERROR:

setup: $(VENV)/.dev

demo: $(VENV)/.demo
	@$(BIN)/python -m controller.demo $(ARGS)

test: check
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

long: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) -m long $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# 3 is no find: the baseline was brought up to date with lines that moved.
secrets: $(VENV)/.dev
	@$(BIN)/detect-secrets-hook --no-verify --baseline .secrets.baseline \
		$$(git ls-files ':!*.lock' ':!.secrets.baseline'); \
	status=$$?; [ $$status = 0 ] || [ $$status = 3 ]

audit: $(VENV)/.audit
	@found=$$($(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		-r requirements.lock -r remote/requirements.lock); status=$$?; \
	if [ $$status = 0 ]; then echo "audit: no known weakness"; \
	elif [ -n "$$found" ]; then echo "$$found"; echo "audit: WEAKNESSES, above"; exit 1; \
	else echo "audit: NOTHING WAS CHECKED: the advisory service could not be asked"; exit 3; fi

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.bench.all $(BENCH) $(ARGS)

rebuild-small: $(VENV)/.demo
	@rm -rf build/small && mkdir -p build
	$(BIN)/python -m remote.stages.small_model.build --out build/small
	$(BIN)/python -m remote.stages.small_model.compare build/small

simulate: $(VENV)/.dev
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

reliability: $(VENV)/.dev
	@$(BIN)/python -m tests.support.reliability_page

cases: $(VENV)/.dev
	@$(BIN)/python -m tests.end_to_end.cases $(CASES) $(ARGS)

examples: $(VENV)/.dev
	@$(BIN)/python -m tests.end_to_end.how_to_run $(ARGS)

chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.crash.sweep $(ARGS)

clean:
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

# What pip cannot bring. With root on Debian it is installed; elsewhere it is said. Only venv is
# indispensable: without sshd the emulator's pods use an embedded server, nothing of ours needs
# rsync (the benchmarks compare with it), and without strace and faketime some tests are skipped.
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
