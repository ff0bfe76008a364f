PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup start test demo faults bench package clean

setup: $(VENV)/.ready node_modules/.ready $(VENV)/checkov/.ready

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null || { echo "Switchboard needs Python 3.13 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Only the tests need it. Its bytecode is compiled where it is used: most of it never is.
$(VENV)/checkov/.ready: requirements-checkov.txt | $(VENV)/.ready
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-checkov.txt
	@touch $@

node_modules/.ready: package.json package-lock.json
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null || { echo "Switchboard needs Node 20 or later; found: $$(node --version 2>&1)"; exit 1; }
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

start: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m local $(ARGS)

demo: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m local demo

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

package: $(VENV)/.ready node_modules/.ready
	@$(BIN)/python -m ops.package

clean:
	rm -rf $(VENV) node_modules .local dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
