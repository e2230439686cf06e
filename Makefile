# make repro     set up, say what will run and for how long, then run the whole comparison (dvc repro)
# make test      set up, then run all tests
# make test-fast set up, then run the fast tests: under a minute
# make lint      set up, then check style, format and types
# make verify    set up, then show on the examples that everything comes out again byte for byte (FULL=1: on the committed results)
# make bench     set up, then compare the speed with a plain Trainer and with AdapterHub, in an environment of its own (30 minutes)
# make export    copy what was trained to exported/, in a form that loads without this project (METHOD=lora: only this)
# make tune      choose the learning rates anew on validation (slow)
# make study     set up, then run the cells of the study that are missing (8 hours in all; stop and go on as you like), and sum it
#                up; CELL=NAME one cell, JOBS=4 so many at once

PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: announce repro test test-fast lint verify bench export tune study setup setup-dev clean

repro: announce setup
	@python -m stages.forecast
	dvc repro

# before there is an environment that could say more
announce:
	@test -e $(VENV)/.installed || $(PYTHON) -c 'import json; stages = json.load(open("metrics/durations.json")).values(); print("the packages of requirements.txt are installed in $(VENV), which takes minutes; the stages then take about %d minutes" % (sum(stage["seconds"] for stage in stages) / 60 + 1))' 2>/dev/null || true

# two workers, one thread each; tests that share the finished pipeline run in one of them
test: setup-dev
	python -m pytest -n 2 --dist loadgroup

test-fast: setup-dev
	python -m pytest -n 2 --dist loadgroup -m 'not slow and not network'

lint: setup-dev
	ruff check .
	ruff format --check .
	mypy

verify: setup
	python -m experiments.verify $(if $(FULL),--full)

bench: setup .cache/adapterhub/.installed
	dvc repro prepare
	HF_HUB_OFFLINE=1 python -m bench
	python -m bench.rows

export: setup
	python -m stages.export $(if $(METHOD),--method $(METHOD))

tune: setup
	python -m experiments.tune_learning_rate

study: setup
	@python -m study.run $(CELL) $(if $(JOBS),--jobs $(JOBS))
	@python -m study.summarize

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

# the stamp names the requirements that were installed: a changed file installs again
$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# the package for 4-bit weights goes into a folder that only the tests read: PEFT would load it in every stage, a second each time
$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-qlora.txt
	python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/qlora -r requirements-qlora.txt
	touch $@

.cache/adapterhub/.installed: bench/adapterhub.requirements.txt
	$(PYTHON) -m venv .cache/adapterhub
	.cache/adapterhub/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf $(VENV) .cache
