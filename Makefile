# The first of these that is new enough. make PYTHON=... names another one.
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null
PYTHON ?= $(shell for each in python3.13 python3 python python3.14; do $$each $(NEW_ENOUGH) && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup start demo test test-any-day faults bench package settings lock clean

# Install exactly the files that the lock names, by their hashes: the tests, the laptop and Azure have the same.
PIP_OPTIONS := --quiet --disable-pip-version-check --require-hashes

PAGES := web/build/console.html

setup: $(VENV)/.ready node_modules/.ready $(VENV)/checkov/.ready $(PAGES)

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@python="$(PYTHON)"; $${python:-false} $(NEW_ENOUGH) || \
		{ echo "Switchboard needs Python 3.13 or later; found: $$($${python:-python3} --version 2>&1)" >&2; exit 1; }
	@$(BIN)/python $(NEW_ENOUGH) || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment; on Debian, install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install $(PIP_OPTIONS) -r requirements-dev.txt
	@touch $@

# Only the tests need checkov. Python compiles the few of its modules that are used, when they are used.
$(VENV)/checkov/.ready: requirements-checkov.txt | $(VENV)/.ready
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install $(PIP_OPTIONS) --no-compile -r requirements-checkov.txt
	@touch $@

node_modules/.ready: package.json package-lock.json
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null || \
		{ echo "Switchboard needs Node 22 or later; found: $$(node --version 2>&1)" >&2; exit 1; }
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 22))' || \
		echo "Node $$(node --version) runs for now, but Azurite declares Node 22: install that" >&2
	@command -v npm >/dev/null || { echo "Switchboard needs npm, which comes with Node; it is not on PATH" >&2; exit 1; }
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGES): node_modules/.ready $(wildcard web/*.html web/*.css web/*.js web/*.mjs)
	npm run build --silent

start: $(VENV)/.ready node_modules/.ready $(PAGES)
	@$(BIN)/python -m local $(ARGS)

demo: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m local demo

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist loadfile

# Set-up runs first, with the true clock: with a moved one, pip and npm refuse every certificate.
test-any-day: setup
	@$(BIN)/python -m tests.any_day $(ARGS)

faults: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m tests.faults

bench: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m bench $(ARGS)

package: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m ops.package

# `azd provision` runs this first. It needs no package, so it needs no set-up.
settings:
	@$(PYTHON) -m ops.gather_settings

# Writes the locks from requirements*.in: every version with its hashes, for every system and Python >= 3.13.
# Versions that still fit stay; make lock UPGRADE=--upgrade takes the newest, UPGRADE="-P name" one of them.
LOCK := --universal --python-version 3.13 --generate-hashes --no-annotate --quiet $(UPGRADE) --custom-compile-command "make lock"
lock: $(VENV)/.ready
	@test -x $(VENV)/lock/bin/uv || { $(BIN)/python -m venv $(VENV)/lock && \
		$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9; }
	@set -e; for each in requirements requirements-dev requirements-checkov; do \
		$(VENV)/lock/bin/uv pip compile $(LOCK) $$each.in -o $$each.txt >/dev/null; done

clean:
	rm -rf $(VENV) node_modules web/build .local dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
