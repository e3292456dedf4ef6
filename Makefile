# The steps, each one documented command that also works without make (see README.md).
PYTHON ?= python3
PARAMS ?= quick
BIN := .venv/bin

.PHONY: setup report test test-all lab lint mutants reference schema
setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv --constraint constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[test]' --constraint constraints.txt
	touch $@

report: setup  ## train what is missing and make reports/$(PARAMS)/report.html and report.pdf
	$(BIN)/python -m fmnist_lib report params/$(PARAMS).yaml

mutants: setup  ## each wrong change of tests/mutants.toml in a copy: does a test notice?
	$(BIN)/python tests/mutants.py

reference: setup  ## the paper's protocol, into the one report folder that is tracked
	$(BIN)/python -m fmnist_lib reference

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint  ## unit and fault tests, then every notebook
	$(BIN)/python -m pytest -n auto --dist worksteal
	$(BIN)/python -m pytest --nbmake -n auto notebooks

test-all: test  ## the tests of more than a few minutes too
	$(BIN)/python -m pytest -m long

schema: setup  ## what a params file may say, for editors
	$(BIN)/python -m fmnist_lib schema > params/schema.json

lab: setup
	$(BIN)/jupyter lab notebooks
