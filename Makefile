# The steps, each one documented command that also works without make (see README.md).
PYTHON ?= python3
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE  # or each of hundreds of processes compiles PyTorch's sources anew

.PHONY: setup report test test-all lab lint mutants reference schema pictures
setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv --constraint constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[test]' --constraint constraints.txt
	touch $@

report: PARAMS ?= quick
report: setup  ## train what is missing, on CLUSTER if it is given, and make reports/$(PARAMS)/report.html and report.pdf
	$(BIN)/fmnist report $(PARAMS) $(if $(CLUSTER),--cluster $(CLUSTER))

mutants: setup  ## each wrong change of tests/mutants.toml in a copy: does a test notice?
	$(BIN)/python tests/mutants.py

reference: setup  ## the paper's protocol, into the one report folder that is tracked
	$(BIN)/fmnist reference

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A thread that waits leaves its core to the tests of the other worker.
test: export OMP_WAIT_POLICY := passive
test: lint  ## unit and fault tests, then every notebook
	$(BIN)/python -m pytest -n auto --dist worksteal
	$(BIN)/python -m pytest --nbmake -n auto notebooks

test-all: test  ## the tests of more than a few minutes too
	$(BIN)/python -m pytest -m long

schema: setup  ## what a params file may say, for editors
	$(BIN)/fmnist schema > params/schema.json

lab: setup  ## JupyterLab on working copies in work/; PARAMS=quick puts that params file into them, LAB=--no-browser is its own
	$(BIN)/fmnist lab $(PARAMS) $(if $(LAB),-- $(LAB))

pictures: setup  ## of reports/reference, for the README; needs Chromium
	$(BIN)/python tests/pictures.py
