# The first of these that is new enough; make PYTHON=... names another.
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null
PYTHON ?= $(shell for each in python3.13 python3 python python3.14; do $$each $(NEW_ENOUGH) && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup start demo test test-any-day faults bench package clean

PAGES := web/build/console.html

setup: $(VENV)/.ready node_modules/.ready $(VENV)/checkov/.ready $(PAGES)

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@python="$(PYTHON)"; $${python:-false} $(NEW_ENOUGH) || \
		{ echo "Switchboard needs Python 3.13 or later; found: $$($${python:-python3} --version 2>&1)" >&2; exit 1; }
	@$(BIN)/python $(NEW_ENOUGH) || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment; on Debian, install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Only the tests need it. Its bytecode is compiled where it is used: most of it never is.
$(VENV)/checkov/.ready: requirements-checkov.txt | $(VENV)/.ready
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-checkov.txt
	@touch $@

node_modules/.ready: package.json package-lock.json
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null || \
		{ echo "Switchboard needs Node 20 or later; found: $$(node --version 2>&1)" >&2; exit 1; }
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
	$(BIN)/pytest -n auto --dist loadfile

# Set up with the true clock first: with a moved one, pip and npm refuse every certificate.
test-any-day: setup
	@$(BIN)/python -m tests.any_day $(ARGS)

faults: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m tests.faults

bench: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m bench $(ARGS)

package: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m ops.package

clean:
	rm -rf $(VENV) node_modules web/build .local dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
