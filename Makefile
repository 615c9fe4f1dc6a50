# The commands that must always hold. Each does its own set-up; a stamp file keeps a second call fast.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
export KEDRO_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
# uv installs without bytecode: where Python may not write any, each process would compile thousands of modules, at 5 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install install-test run quick paper serve proto test test-all lint coverage bench truth airflow dagster viz
.PHONY: soak sizes docs pictures first-hour clean checks style format imports types kernels

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# uv installs in seconds what takes pip minutes, from where pip would: its links and its certificates.
UV := $(if $(PIP_CERT),SSL_CERT_FILE=$(PIP_CERT)) $(BIN)/uv pip install --quiet --python $(BIN)/python \
	--constraint constraints.txt $(addprefix --find-links ,$(PIP_FIND_LINKS))
EXTRAS := deep,agents,viz,notebook,live,serve
TEST_EXTRAS := all,docs,test

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Tradewind needs Python 3.11: set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

$(BIN)/uv: | $(BIN)/python
	$(PIP) uv || echo "uv is not to be had here"

# $(call install,EXTRAS): where uv finds no way (an index that only pip is told of), pip goes on.
define install
$(UV) --editable ".[$(1)]" || { echo "uv could not install; pip does, in minutes ..."; \
	$(PIP) torch==2.13.0 && $(PIP) --editable ".[$(1)]"; }
endef

.venv/installed: pyproject.toml constraints.txt | $(BIN)/uv
	@echo "Installing pinned dependencies into .venv (a minute or two the first time) ..."
	@$(call install,$(EXTRAS))
	@echo "Compiling the kernels (half a minute) ..."
	$(BIN)/python -m tradewind.cli.kernels
	@touch $@

# The servers come from elsewhere: they are fetched meanwhile. What tests need includes what `make run` needs.
.venv/installed-test: pyproject.toml constraints.txt | $(BIN)/uv
	@echo "Installing pinned dependencies and those of the tests into .venv (a minute or two the first time) ..."
	@sh tests/install_servers.sh & servers=$$!; ($(call install,$(TEST_EXTRAS))); status=$$?; wait $$servers; exit $$status
	@touch .venv/installed $@

install: .venv/installed  ## make .venv with the pinned dependencies

install-test: .venv/installed-test

run: install  ## run the whole default pipeline and say where the report is
	$(BIN)/kedro run --pipelines __default__,deployment
	@echo "Report: $(CURDIR)/data/08_reporting/report.html"

quick: install  ## two models on the demo's market: a verdict in about a minute
	$(BIN)/kedro run --env quick

lint: install-test  ## lint, check types and import rules
	@$(MAKE) --no-print-directory --jobs 4 --output-sync=target style format imports types

style:
	$(BIN)/ruff check .

format:
	$(BIN)/ruff format --check .

imports:
	$(BIN)/lint-imports

types:
	$(BIN)/mypy

kernels:
	$(BIN)/python -m tests.kernels

# Kernels are compiled on one core while the types are checked on the other.
checks: install-test
	@$(MAKE) --no-print-directory --jobs 4 --output-sync=target style format imports types kernels

# Three workers on two cores: one may wait for a process or a server that it started.
# Benchmarks are not even collected: the peers that they import take seconds in each worker.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/benchmarks

test: checks  ## lint, check types and import rules, run the tests
	$(PYTEST)

test-all: checks  ## the same, with long loops, many seeds and whole runs of the demo and of real candles (an hour)
	$(PYTEST) -m 'not benchmark'

coverage: install-test  ## the same tests with the lines that they reach; slower
	$(PYTEST) --cov --cov-report=term:skip-covered

bench: install-test  ## measure speed against the peers, in one run each
	$(BIN)/pytest -m benchmark tests/benchmarks tests/laws/test_regimes.py -s

soak: install-test  ## a paper account for 30 simulated days with 200 planted faults, 500 kills, and SOAK_S real seconds (3600)
	SOAK_S=$(or $(SOAK_S),3600) $(BIN)/pytest -m depth -s tests/live/test_exchange.py tests/live/test_kills.py tests/live/test_halt.py

sizes: install  ## measure time and memory by the size of the market, 1 to 500 symbols (an hour); SIZES=small for one
	$(BIN)/python tools/sizes.py $(SIZES)

truth: install  ## how often the verdict is wrong, on 400 simulated markets, and 50 worlds of the candles in TRADEWIND_DATA
	$(BIN)/kedro truth --light $(if $(TRADEWIND_DATA),--worlds-env real)

airflow: install  ## write the Airflow DAG in docs/scheduling anew from the pipelines
	$(PIP) --editable ".[airflow]"
	$(BIN)/kedro airflow create --env exchange --jinja-file docs/scheduling/airflow_dag.j2 --target-dir docs/scheduling

dagster: install  ## write the Dagster definitions in docs/scheduling anew from the pipelines
	$(BIN)/python tools/dagster_file.py

serve: install  ## serve the newest model on 127.0.0.1:8470, its page at /docs
	$(BIN)/tradewind serve

proto: install-test  ## make the gRPC files anew from src/tradewind/serving/rpc/prediction.proto
	$(BIN)/python -m grpc_tools.protoc -I src --python_out=src --grpc_python_out=src src/tradewind/serving/rpc/prediction.proto

docs: .venv/installed-docs  ## build the documentation in site/: searchable, without the network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build  # with --quiet it would pass over broken links
	@echo "Documentation: serve it with '$(BIN)/python -m http.server --bind 127.0.0.1 --directory site' and open the address it prints"

.venv/installed-docs: .venv/installed
	$(PIP) --editable ".[docs]"
	@touch $@

pictures: docs  ## make the pictures of the documentation anew, from `make quick` and `make viz`; needs a Chromium
	$(PIP) --editable ".[pictures]"
	$(BIN)/python tools/pictures.py

first-hour: install-test  ## do all that the first hour does, from a fresh clone: seconds of each step
	$(BIN)/python tools/first_hour.py

viz: install  ## build the pipeline graph as a static page in build/
	$(BIN)/kedro viz build --include-previews
	@echo "Graph: serve it with '$(BIN)/python -m http.server --bind 127.0.0.1 --directory build' and open the address it prints"

clean:  ## remove what runs have written (data layers, MLflow store, compiled kernels), keep the installation
	find src -name '*.nb[ci]' -delete
	find data -mindepth 2 ! -name .gitkeep -delete
	rm -rf mlflow.db mlartifacts build site

paper: install  ## open a paper account on a simulated exchange with a dashboard; PAPER_S=60 ends it by itself
	$(BIN)/kedro paper $(if $(PAPER_S),--seconds $(PAPER_S)) $(PAPER_OPTIONS)
