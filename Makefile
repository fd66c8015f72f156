# make demo: set up and run the main job; make test: set up and run everything; make test-random:
# the same in another order; make test-oldest, test-newest: with the oldest versions that setup.cfg
# allows, and with the newest, in environments of their own (PYTHON=python3.13 for another Python).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

TESTS := -m pytest -n 2 --dist worksteal

.PHONY: demo test test-random test-oldest test-newest lint clean

demo: $(STAMP)
	$(BIN)/imbemotion demo

test: $(STAMP) lint
	$(BIN)/python $(TESTS)

test-random: $(STAMP)
	$(BIN)/python -m pip install --quiet pytest-random-order
	$(BIN)/python $(TESTS) --random-order

test-oldest: RESOLUTION := lowest-direct
test-newest: RESOLUTION := highest
test-oldest test-newest:
	$(PYTHON) -m venv --clear .venv-$@
	.venv-$@/bin/python -m pip install --quiet uv
	.venv-$@/bin/uv pip install --python .venv-$@/bin/python --resolution $(RESOLUTION) --editable '.[test]'
	.venv-$@/bin/python $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A fresh .venv is made whenever the declared dependencies change.
$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "imbemotion needs Python 3.11.4 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(VENV)-* build *.egg-info
