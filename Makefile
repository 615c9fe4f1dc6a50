# The commands that must always hold. Each does its own set-up; a stamp file keeps a second call fast.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
export KEDRO_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.PHONY: help install install-test run quick paper serve proto test test-all lint bench truth airflow viz clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Tradewind needs Python 3.11: set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing pinned dependencies into .venv (a few minutes the first time) ..."
	$(PIP) --constraint constraints.txt torch==2.13.0
	$(PIP) --constraint constraints.txt --editable ".[deep,agents,viz,notebook,live,serve]"
	@touch $@

.venv/installed-test: .venv/installed
	$(PIP) --constraint constraints.txt --editable ".[all,test]"
	@sh tests/install_servers.sh
	@touch $@

install: .venv/installed  ## make .venv with the pinned dependencies

install-test: .venv/installed-test

run: install  ## run the whole default pipeline and say where the report is
	$(BIN)/kedro run
	$(BIN)/kedro run --pipelines deployment
	@echo "Report: $(CURDIR)/data/08_reporting/report.html"

quick: install  ## two models on the demo's market: a verdict in about a minute
	$(BIN)/kedro run --env quick

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Three workers on two cores: one may wait for a process or a server that it started.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

test: lint  ## lint, check types and import rules, run the tests
	$(PYTEST)

test-all: lint  ## the same, with long loops, many seeds and whole runs of the demo and of real candles (an hour)
	$(PYTEST) -m 'not benchmark'

coverage: install-test  ## the same tests with the lines that they reach; slower
	$(PYTEST) --cov --cov-report=term:skip-covered

bench: install-test  ## measure speed against the peers, in one run each
	$(BIN)/pytest -m benchmark tests/benchmarks -s

truth: install  ## measure how often the verdict is wrong, on 400 simulated markets; can be stopped and goes on
	$(BIN)/kedro truth

airflow: install  ## write the Airflow DAG in docs/scheduling anew from the pipelines
	$(PIP) --constraint constraints.txt --editable ".[airflow]"
	$(BIN)/kedro airflow create --env exchange --jinja-file docs/scheduling/airflow_dag.j2 --target-dir docs/scheduling

serve: install  ## serve the newest model on 127.0.0.1:8470, its page at /docs
	$(BIN)/tradewind serve

proto: install-test  ## make the gRPC files anew from src/tradewind/serving/rpc/prediction.proto
	$(BIN)/python -m grpc_tools.protoc -I src --python_out=src --grpc_python_out=src src/tradewind/serving/rpc/prediction.proto

viz: install  ## build the pipeline graph as a static page in build/
	$(BIN)/kedro viz build --include-previews
	@echo "Graph: serve it with '$(BIN)/python -m http.server --bind 127.0.0.1 --directory build' and open the address it prints"

clean:  ## remove what runs have written (data layers, MLflow store, compiled kernels), keep the installation
	find src -name '*.nb[ci]' -delete
	find data -mindepth 2 ! -name .gitkeep -delete
	rm -rf mlflow.db mlartifacts build

paper: install  ## open a paper account on a simulated exchange with a dashboard; PAPER_S=60 ends it by itself
	$(BIN)/kedro paper $(if $(PAPER_S),--seconds $(PAPER_S)) $(PAPER_OPTIONS)
