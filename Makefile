# One environment in .venv; `demo` needs a part of it, `test` and `check` need all of it.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := -m pip install -qq --disable-pip-version-check
DEMO := .venv/demo.stamp
DEV := .venv/dev.stamp

.DEFAULT_GOAL := help
.PHONY: help demo test browser check bench lock clean

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(DEMO)  ## hear a recorded singer turned into another voice
	$(BIN)/mynah demo

test: $(DEV)  ## run every test and every example in a docstring
	$(BIN)/python -m pytest -q

browser: $(DEV)  ## try the studio in a real browser (wants Debian's chromium; MYNAH_SHOTS=DIR keeps pictures of the page)
	MYNAH_BROWSER=1 $(BIN)/python -m pytest -q tests/studio/test_browser*.py

check: $(DEV)  ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(DEV)  ## print the figures behind every claim (quality needs DATA=recordings and WHISPER=weights, stems STEMS=songs and SONG=name)
	@set -e; for name in startup speed memory_audio cover demucs_speed; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done
	@if [ -n "$(DATA)" ]; then $(BIN)/python benchmarks/quality.py "$(DATA)" --whisper "$(WHISPER)" && $(BIN)/python benchmarks/adapt.py "$(DATA)"; \
	else echo "== quality, adapt: not measured, say make bench DATA=recordings WHISPER=tiny.en.pt"; fi
	@if [ -n "$(STEMS)" ]; then $(BIN)/python benchmarks/stems.py --data "$(STEMS)" --song "$(SONG)" && $(BIN)/python benchmarks/stems.py --hours 1; \
	else echo "== stems: not measured, say make bench STEMS=songs SONG=name"; fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Mynah runs on Python 3.11, 3.12 or 3.13, and $(PYTHON) is " + sys.version.split()[0] + ": say make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

$(DEMO): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing into .venv; this takes a minute or two the first time."
	$(BIN)/python $(INSTALL) -c requirements.lock -e '.[pictures,cover]'
	@touch $@

# Of resemblyzer only the weights in its wheel are wanted; what it asks for (webrtcvad) needs a compiler.
$(DEV): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing into .venv; this takes a minute or two the first time."
	$(BIN)/python $(INSTALL) -c requirements.lock -e '.[dev]'
	$(BIN)/python $(INSTALL) -c requirements.lock --no-deps resemblyzer
	@touch $(DEMO) $@

# torch is chosen by hand: its newest wheel may be one for a GPU, of several gigabytes. A local part such as +cpu belongs
# to one machine's wheel, so it does not go into the lock.
TORCH ?= $(shell grep '^torch==' requirements.lock)
lock:  ## pin the newest versions that fit pyproject.toml (and TORCH=torch==X.Y.Z)
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(INSTALL) '$(TORCH)' -e '.[dev]'
	.venv-lock/bin/python $(INSTALL) --no-deps resemblyzer
	.venv-lock/bin/python -m pip freeze --all --exclude-editable | grep -v ^pip== | sed -E 's/\+[A-Za-z0-9.]+$$//' > .venv-lock/requirements
	cp .venv-lock/requirements requirements.lock && rm -rf .venv-lock

clean:  ## remove the environment and every cache
	rm -rf .venv .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find mynah tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
