# Everything runs in .venv, which is made on first use; nothing else is needed but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: demo test offline check lint format types bench eval install clean

demo: $(READY)
	$(BIN)/python benchmarks/demo.py

test: $(READY)
	$(BIN)/pytest

# The same where there is no network but the machine's own loopback, which editors and torchrun use among themselves.
offline: $(READY)
	unshare -rn sh -c 'ip link set lo up && exec $(BIN)/pytest'

check: lint types test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/latency.py

eval: $(READY)
	$(BIN)/unmask eval --data coder_model/evaluation/data

install: $(READY)

# constraints.txt pins torch to a build without CUDA's gigabytes
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[model,remote,languages,dev,neovim]'
	touch $@

clean:
	rm -rf $(VENV)
