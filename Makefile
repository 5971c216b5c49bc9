# Everything a person does here. `make help` lists it; `make` alone checks and tests.
PYTHON ?= python3
BIN := .venv/bin
# uv installs the lock in seconds; where it cannot (a mirror it does not know), pip does the same in a minute or two.
INSTALL = { $(BIN)/uv pip install --quiet --python $(BIN)/python $(1) 2> .venv/uv.log || $(BIN)/python -m pip install -qq $(1); }
BENCHES := $(shell grep -l __main__ bench/*.py)

# Hundreds of processes import the same packages: the first compiles them for the others, also where the environment says not to.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: help demo up down test check format packages focus-validator bench lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: .venv/installed ## the main job on the samples through a real Airflow, from documents to the bill (about 5 minutes)
	@$(BIN)/skillyard airflow demo

up: .venv/installed ## start Airflow; its UI stays at http://127.0.0.1:8080
	@$(BIN)/skillyard airflow up

down: .venv/installed ## stop it
	@$(BIN)/skillyard airflow down

test: check packages focus-validator ## format check, lint, types, imports, tests
	@echo "tests" && $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder # they wait for clocks and other processes more than they compute

check: .venv/tested ## all of that but the tests
	@echo "format" && $(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@echo "lint" && $(BIN)/ruff check --quiet .
	@echo "types" && $(BIN)/mypy --no-error-summary
	@echo "imports" && $(BIN)/lint-imports --no-cache > .venv/imports.log || { cat .venv/imports.log; exit 1; }

format: .venv/tested ## format the code and mend what lint can
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

packages: # what some tests need from Debian; without root those tests say why they are skipped
	@missing=; ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || missing=postgresql; \
	  command -v tesseract > /dev/null || missing="$$missing tesseract-ocr"; \
	  command -v chromium > /dev/null || missing="$$missing chromium"; \
	  if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "installing for the tests: $$missing"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $$missing; } > .venv/apt.log 2>&1 \
	  || echo "that failed (.venv/apt.log): the tests that need it are skipped"; fi

focus-validator: .venv/installed # the judge of the table focus, in an environment of its own (its NumPy ends at Python 3.12); FOCUS_PYTHON names one
	@[ .venv-focus/installed -nt requirements-focus.txt ] || { \
	  for python in $(FOCUS_PYTHON) python3.12 $(PYTHON) $(BIN)/python "$$(pyenv root 2> /dev/null)"/versions/3.12.*/bin/python; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2> /dev/null && break; python=; done; \
	  if [ -z "$$python" ]; then echo "there is no Python 3.12 for the FOCUS validator: its test is skipped"; else \
	  echo "making .venv-focus for the FOCUS validator"; { "$$python" -m venv --clear .venv-focus && \
	  { $(BIN)/uv pip install --quiet --python .venv-focus/bin/python --no-deps --requirement requirements-focus.txt || \
	  .venv-focus/bin/python -m pip install -qq --no-deps --requirement requirements-focus.txt; } && touch .venv-focus/installed; } \
	  > .venv/focus.log 2>&1 || echo "that failed (.venv/focus.log): its test is skipped"; fi; }

bench: .venv/tested ## every measurement, each beside its goal
	@failed=; for bench in $(BENCHES); do echo "== $$bench"; $(BIN)/python $$bench || failed="$$failed $$bench"; done; \
	  [ -z "$$failed" ] || { echo "short of a goal:$$failed"; exit 1; }

lock: .venv/tested ## resolve the versions again, newest first
	@$(BIN)/uv pip compile --quiet --universal --upgrade --no-header pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --upgrade --no-header --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	@printf 'focus-validator\npyarrow<22\n' | $(BIN)/uv pip compile --quiet --upgrade --no-header --python-version 3.12 - -o requirements-focus.txt

clean: ## remove the environment and the caches; .skillyard (the lake, the state) stays
	@rm -rf .venv .venv-focus .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build src/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2> /dev/null || { echo \
	  "Skillyard needs Python 3.11 or 3.12, and $(PYTHON) is $$($(PYTHON) --version 2>&1): try make PYTHON=python3.12"; exit 1; }
	@echo "making .venv from the lock (the first time takes a minute or two)"
	@$(PYTHON) -m venv .venv || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	@$(call INSTALL,--no-deps --requirement requirements.txt)
	@$(call INSTALL,--no-deps --editable .)
	@touch $@

.venv/tested: .venv/installed requirements-dev.txt
	@echo "adding what the tests need"
	@$(call INSTALL,--no-deps --requirement requirements-dev.txt)
	@touch $@
