# Two commands are enough on a machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
# Many images set it; then each of the processes that tests start compiles everything it imports.
export PYTHONDONTWRITEBYTECODE :=
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: demo test system lint unit bench quality forest faults docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed  ## judge the shipped recording, write out/report.html
	$(BIN)/ebbtide demo --out out

test: system lint unit  ## everything that must hold before a change lands

# What tests need beside Python: for the meter a compiler for its programs, libbpf and network namespaces; for the pages a
# browser; for the receivers, sinks and backfill their real peers. Without root they are asked for and their tests skip.
SYSTEM := clang libbpf-dev iproute2 chromium prometheus victoria-metrics prometheus-alertmanager
COMMANDS := clang ip chromium prometheus victoria-metrics prometheus-alertmanager
system:
	@missing=; for one in $(COMMANDS); do command -v $$one >/dev/null || missing="$$missing $$one"; done; \
	[ -e /usr/include/bpf/bpf_helpers.h ] || missing="$$missing libbpf"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(SYSTEM) >/dev/null; \
	else echo "for all tests: apt-get install $(SYSTEM)"; fi

lint: $(VENV)/developing  ## style, types, the direction of imports, known holes in dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python deploy/audit.py

unit: $(VENV)/developing
	$(BIN)/pytest -n auto --dist worksteal

bench: $(VENV)/developing  ## ratios of speed, measured in one run; needs VictoriaMetrics from Debian for one of them
	$(BIN)/python bench/run.py

quality: $(VENV)/developing  ## the outbound detector on months of real traffic (where the data are absent: on the shipped recording)
	$(BIN)/python -m ebbtide.lab.quality

forest: $(VENV)/developing  ## a random cut forest on 20 entities of that traffic, and what it costs
	$(BIN)/python -m ebbtide.lab.quality forest

# Kills, retention and sizes as large as a few minutes allow; each fault prints its figure at the end.
FAULTS := EBBTIDE_KILLS=50 EBBTIDE_RETENTION_DAYS=40 EBBTIDE_FAULT_POINTS=20000 EBBTIDE_FAULT_BODIES=5000 \
	EBBTIDE_FAULT_SERIES=100000 EBBTIDE_FAULT_HOURS=7 EBBTIDE_DEMO_HOURS=0
faults: $(VENV)/developing  ## the longer runs of what must never lose data, each with its figure
	$(FAULTS) $(BIN)/pytest -q -n0 tests/faults tests/store/test_retention.py tests/store/test_durability.py \
	  tests/store/test_heal.py tests/receive/test_receive_ledger.py tests/cli/test_demo.py tests/cli/test_ui.py

docs: $(VENV)/developing  ## regenerate the reference pages that tests compare with the code, and the pictures
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Debian splits venv from Python; everything else comes from there.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || (apt-get update && apt-get install -y python3-venv && $(PYTHON) -m venv --clear $(VENV))

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

$(VENV)/developing: $(VENV)/installed
	$(PIP) --editable '.[dev]'
	touch $@
