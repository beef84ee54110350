# Everything runs in .venv, which is made on first use; nothing else is needed but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
RUNS := $(VENV)/.runs
MODEL = qwen2.5-coder-0.5b

.PHONY: demo picture pictures test test-slow offline nightly sbom check lint format types bench eval install clean

# `make demo MODEL=embedded` fetches nothing; who says `make demo` asks for the one of half a gigabyte, once.
# Not taken from the environment, where the name may mean anything.
demo: $(RUNS)
	@$(BIN)/python benchmarks/demo.py --model '$(MODEL)'

# the README's picture and table, from a run here: better on a machine that does nothing else
picture: $(READY)
	$(BIN)/python benchmarks/demo.py --model '$(MODEL)' --picture docs/figures/demo.svg --readme README.md

# the pictures of the editors and of `unmask play`; needs what their tests need: CONTRIBUTING.md
pictures: $(READY)
	$(BIN)/python benchmarks/pictures.py --model '$(MODEL)'

# what takes a quarter of a minute or more on its own is left out, as the last line says; three processes, for many tests wait
test: $(READY)
	$(BIN)/pytest -m 'not slow' -n 3 --dist loadfile
	@echo 'left out: the tests that are marked slow, which make test-slow runs'

test-slow: $(READY)
	$(BIN)/pytest -m slow -n 3 --dist loadfile

# The same where there is no network but the machine's own loopback, which editors and torchrun use among themselves.
offline: $(READY)
	unshare -rn sh -c 'ip link set lo up && exec $(BIN)/pytest'

# what is promised, shown: up to two hours on two cores; goes on where it was stopped
nightly: $(READY)
	$(BIN)/python benchmarks/nightly.py && $(BIN)/python benchmarks/report.py

sbom: $(READY)
	$(BIN)/python deploy/sbom.py

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
	$(BIN)/python benchmarks/session.py latency

eval: $(READY)
	$(BIN)/unmask eval --data coder_model/evaluation/data

install: $(READY)

# what pip says is shown only where it fails; constraints.txt pins torch to a build without CUDA's gigabytes
PIP = $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
QUIETLY = >$(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log; exit 1; }

$(BIN)/python:
	@echo 'making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo 'installing what the program needs and what the tests compare with into $(VENV), once: 2.6 GB, some minutes'
	@$(PIP) -e '.[model,remote,http,serve,oidc,languages,dev,neovim]' $(QUIETLY)
	@touch $@

# without the tests' half; there already where READY is
$(RUNS): pyproject.toml constraints.txt | $(BIN)/python
	@test $(READY) -nt pyproject.toml || { \
		echo 'installing what the program needs into $(VENV), once: 1.3 GB, a minute or two'; \
		{ $(PIP) -e '.[model]'; } $(QUIETLY); }
	@touch $@

clean:
	rm -rf $(VENV)
