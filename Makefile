# One command to run, one to test: `make run`, `make test`. docs/operations.md tells more.
PYTHON ?= python3
VENV := .venv/bin
PYTEST_ARGS ?=
SEED ?= 1
CRASH_ARGS ?=
RACES_ARGS ?=
INDEPENDENCE_ARGS ?=
.DEFAULT_GOAL := help
.PHONY: independence postman fuzz parity help setup run demo check test crash races bench soak load lock

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## everything that run and test need, from the lock files; quiet when nothing changed
	@$(PYTHON) -m nexgent.runtime.bootstrap

run: setup ## PostgreSQL, Valkey and all processes, until Ctrl-C
	@exec $(VENV)/python manage.py up

demo: setup ## the same, with simulated agents trading on a demo market
	@exec $(VENV)/python manage.py demo

check: setup ## static gates
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check --quiet .
	@$(VENV)/mypy
	@$(VENV)/lint-imports --no-logo
	@$(VENV)/python -m nexgent.runtime.gates

test: setup check ## the static gates and the whole suite
	@$(VENV)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

crash: setup ## kill -9 of everything at named points and at random: N=300 SEED=1, CRASH_ARGS=--control must fail
	@$(VENV)/python -m tests.crash --n $(or $(N),300) --seed $(SEED) $(CRASH_ARGS)

races: setup ## everything at one moment on two processes of each kind: N=20 SEED=1, RACES_ARGS=--control must fail
	@$(VENV)/python -m tests.races --n $(or $(N),20) --seed $(SEED) $(RACES_ARGS)

bench: setup ## the benchmarks beside their targets: NAMES="fanout post" for some, BENCH_ARGS="--wait 600"
	@$(VENV)/python -m tests.bench $(NAMES) $(BENCH_ARGS)

soak: setup ## the whole product under steady load: SECONDS=1800, SOAK_ARGS=--control must fail
	@$(VENV)/python -m tests.bench.soak --seconds $(or $(SECONDS),1800) $(SOAK_ARGS)

load: setup ## clients that come and go, clients that do not read, the cost of a list: LOAD_ARGS="cycles --cycles 200"
	@$(VENV)/python -m tests.load $(LOAD_ARGS)

independence: setup ## nobody waits for somebody else, in full size against the goals: INDEPENDENCE_ARGS="-k hanging"
	@$(VENV)/python -m tests.independence $(INDEPENDENCE_ARGS)

parity: setup ## every tape through both loops (FULL=1: the market tapes too)
	@$(VENV)/python -m tests.parity.matrix $(if $(FULL),--full)

postman: setup ## the client collection of the API, from its OpenAPI text, into build/
	@$(VENV)/python manage.py postman

fuzz: setup ## the API under requests made from its OpenAPI text: CASES=5000 SEED=1
	@$(VENV)/python -m tests.openapi.fuzz --cases $(or $(CASES),5000) --seed $(SEED)

lock: setup ## new lock files from pyproject.toml and package.json
	@$(PYTHON) -m nexgent.runtime.locking
