# `make demo` and `make test` do all their own set-up. Another Python: `make test PYTHON=python3.13`.
PYTHON ?= python3
# An environment that somebody else has made in .venv, as the README says, is left alone.
ifndef VENV
VENV := $(if $(wildcard .venv/install*),.venv,$(if $(wildcard .venv),.venv-make,.venv))
endif
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# The environment in two steps: what a user of the command has, and the tools of CI on top of it.
INSTALLED := $(VENV)/installed-$(VERSION)
READY := $(VENV)/ready-$(VERSION)
# Tests that start programs, and wait for them: commands; applications; the sandbox, the vendor's SDK, snippets of the
# documentation.
COMMANDS := $(addprefix tests/,cli doctor)
APPLICATIONS := $(addprefix tests/,benchmarks integrations)
PROGRAMS := $(addprefix tests/,docs sandbox)
SEARCHES := tests/docs/test_searches.py
# Tests of what waits, on a virtual clock or for a disk: apart from the other units, because one process uses one core.
WAITING := $(addprefix tests/,channels export shared_state transport)
ALL_UNITS := $(addprefix --ignore ,tests/faults $(COMMANDS) $(APPLICATIONS) $(PROGRAMS))
# Slow tests that do the same for a long time, each time a little different.
SOAKS := $(addsuffix .py,$(addprefix tests/slow/test_,fuzz soak walks warehouse watch writes))
UNITS := $(ALL_UNITS) $(addprefix --ignore ,$(WAITING))

.PHONY: demo test lint format types faults units waiting programs commands applications pythons docs coverage record long slow soaks scenarios thorough bench bench-quick release-check release-snapshot clean

demo: $(INSTALLED)
	$(BIN)/coaching-async demo

# The tests of faults, the other tests, those on other Pythons, the types and the documentation are checked side by side: on
# two cores that halves the time.
test: lint
	$(MAKE) --no-print-directory --jobs=6 commands units waiting applications faults programs types pythons docs

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(READY)
	$(BIN)/python tests/typing/check.py
	PATH="$(abspath $(BIN)):$$PATH" basedpyright --verifytypes coaching_async --ignoreexternal

faults: $(READY)
	$(BIN)/python -m pytest -q tests/faults

units: $(READY)
	$(BIN)/python -m pytest -q $(UNITS)

waiting: $(READY)
	$(BIN)/python -m pytest -q $(WAITING)

programs: $(READY)
	$(BIN)/python -m pytest -q $(PROGRAMS) --ignore $(SEARCHES)

commands: $(READY)
	$(BIN)/python -m pytest -q $(COMMANDS)

applications: $(READY)
	$(BIN)/python -m pytest -q $(APPLICATIONS)

pythons: $(READY)
	$(BIN)/python tests/support/other_pythons.py

# The site is in build/site then, and is searched for what people look for.
docs: $(READY)
	$(BIN)/python docs/_site.py
	SITE=build/site $(BIN)/python -m pytest -q $(SEARCHES)

# What decoding and calls cost, taken down as what they may cost: tests/benchmarks/test_guard.py fails where it is a tenth more.
record: $(READY)
	for python in $(BIN)/python $(wildcard .venv-python-*/bin/python); do $$python -m benchmarks.guard --record || exit 1; done

# Not part of `make test`: under it the units take three times as long.
coverage: $(READY)
	$(BIN)/coverage run -m pytest -q $(ALL_UNITS)
	$(BIN)/coverage report

# Never part of `make test`: see tests/slow/README.md. What mostly waits runs beside what computes.
long slow soaks scenarios thorough: export FULL := 1
long: $(READY)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --group long
	sh tests/slow/programs.sh
	$(MAKE) --no-print-directory --jobs=4 soaks scenarios coverage thorough
	$(BIN)/python -m benchmarks --quick

slow: soaks scenarios

soaks: $(READY)
	$(BIN)/python -m pytest -rs $(SOAKS)

scenarios: $(READY)
	$(BIN)/python -m pytest -rs tests/slow $(addprefix --ignore ,$(SOAKS))

# What is not part of the coverage and does more in `make long`: all calls, both backends. Then the tests are tested by planting
# faults.
thorough: $(READY)
	$(BIN)/python -m pytest --timeout 1800 $$(grep -rl --include "*.py" support.effort tests/faults $(COMMANDS) $(APPLICATIONS) $(PROGRAMS))
	$(BIN)/python tests/slow/planted_faults.py
	$(BIN)/python tests/slow/mutation.py

# Three quarters of an hour, on a machine that does nothing else; writes docs/performance.md. The quick one only prints.
bench: $(READY)
	$(BIN)/python -m benchmarks

bench-quick: $(READY)
	$(BIN)/python -m benchmarks --quick

# Before a release: archives, metadata, public names, known vulnerabilities, and the tests against the installed wheel on each
# Python. Where no vulnerability service can be reached: `make release-check AUDIT=no`, which says that nothing was audited.
# uv trusts the certificates of the system, as pip does: behind a company's proxy its own are not enough.
release-check: export UV_SYSTEM_CERTS := true
release-check: $(READY)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --group release
	$(BIN)/python -m tests.release check $(if $(filter no,$(AUDIT)),--no-audit)

# The public names of this release, to which the next one is compared.
release-snapshot: $(READY)
	$(BIN)/python -m tests.release snapshot

clean:
	rm -rf build $(VENV) .venv-python-* .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis appointments.jsonl

# The stamps carry the Python version, so that another Python gets a new environment. `-qq` shows errors alone.
$(INSTALLED): pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "coaching_async needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "this Python has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $(VENV)/installing
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[cli]'
	@touch $@

# pip 25.1 is the first that knows dependency groups.
$(READY): $(INSTALLED)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq --disable-pip-version-check --group dev --editable '.[cli]'
	@touch $@
