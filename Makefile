# make demo    set up, run the main job on made-up images, say where the report is
# make test    set up, run the tests    make test-fast   those that take a minute in all
# make lint    style and types        make bench   seconds and ratios against peers
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: .venv demo test test-fast lint bench wheel clean

.venv: $(READY)

# PyTorch first and by name: asked for through another package, pip may take another build of it.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "medshot needs Python 3.11 or newer; name one with make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { echo "Python cannot make environments here: install the package python3-venv first"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: .venv
	@rm -rf demo
	$(BIN)/medshot demo --out demo

test: .venv
	$(BIN)/python -m pytest -n auto

# Without the files of tests/slow.txt: a part of every package's tests.
test-fast: .venv
	$(BIN)/python -m pytest -n auto --fast

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

wheel: .venv
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation

# Peers pin old packages, so they live in an environment of their own.
bench:
	test -x .bench-venv/bin/python || $(PYTHON) -m venv .bench-venv
	.bench-venv/bin/python -m pip install --quiet $$(grep '^torch==' constraints.txt)
	.bench-venv/bin/python -m pip install --quiet -c constraints.txt -e '.[onnx,slides]'
	.bench-venv/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	.bench-venv/bin/python benchmarks/run.py

clean:
	rm -rf .venv .bench-venv dist build demo
