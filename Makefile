# make study   run the default study, from a fresh clone to the report
# make jax     install JAX, for `snakemake … --configfile config/jax.yaml` (JAX=cuda: the CUDA build)
# make spark   install Spark, for `snakemake … --configfile config/spark.yaml` (needs Java 17 or newer)
# make test    run the checks and tests, except docs, test-slow and test-surroundings
# make docs    build the documentation site
# make verify  check every result against its recorded checksum
# make help    list all targets

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# The build of torch: `default` is the one that the package index serves (on Linux a CUDA build of
# several gigabytes), `cpu` the CPU build.
TORCH ?= default
# The build of JAX: `cpu`, or `cuda`, which adds NVIDIA's libraries.
JAX ?= cpu
jax-cuda = "$$(sed -n 's/^jax==/jax[cuda13]==/p' requirements/jax.txt)"
CORES ?= all

# Tools that are not in the lock files.
UV := uv==0.13.9
AUDIT := pip-audit==2.10.1
# In the order of tests/conftest.py.
pytest = $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder
pip-audit = $(VENV)-audit/bin/pip-audit --strict --disable-pip --no-deps

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help study jax spark environments reference verify audit test lint format types unit docs test-slow test-all \
  test-environments test-cluster test-faults test-surroundings test-everything check-gpu lock benchmark benchmark-gpu clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make format  format the code"
	@echo "make lock    regenerate the lock files, envs/*.yaml and config/README.md from their sources"
	@echo "make environments  create the conda environments for --sdm conda (needs conda; respects TORCH)"
	@echo "make reference  run the studies in docs/results again (STUDIES=\"ml-1m claims\": these of docs/results/studies.tsv)"
	@echo "make audit   check all locked packages for known vulnerabilities (needs the package index's advisories)"
	@echo "make test-slow  run the tests that take about a minute each"
	@echo "make test-all  test and test-slow together, in less time than one after the other"
	@echo "make test-environments, test-cluster, test-faults  test conda, Slurm, fault handling; test-surroundings: all three"
	@echo "make test-everything  all tests, as .ci/run does, in less time than one after the other"
	@echo "make check-gpu  compare every kernel on this machine's GPU with the CPU, with timings"
	@echo "make benchmark-gpu  the published training on this machine's GPU: iterations a second"
	@echo "make benchmark  compare with other libraries, in an environment of their own"
	@echo "make clean   remove environments and caches, but not results"

study: $(VENV)/study
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1
	@echo "Report:"; ls -1 $(CURDIR)/results/*/report.html

jax: $(VENV)/study
	$(BIN)/python -m pip install --quiet --requirement requirements/jax.txt $(jax-$(JAX))

spark: $(VENV)/study
	$(BIN)/python -m pip install --quiet --requirement requirements/spark.txt

# The studies in docs/results/studies.tsv: by default those whose results are published. A run that was
# interrupted goes on.
published := docs/results/studies.tsv
STUDIES ?= $(shell while read study config dataset folder; do \
  test ! -d docs/results/$$folder || echo $$study; done < $(published) | uniq)
of-study = awk -F '\t' -v study=$$study '$$1 == study $(1)' $(published)
reference: $(VENV)/study
	set -e; for study in $(STUDIES); do \
	  config=$$($(call of-study,{print $$2; exit})); \
	  test -n "$$config" || { echo "$(published) has no study '$$study'"; exit 1; }; \
	  $(BIN)/snakemake --cores $(CORES) --resources gpu=1 --configfile $$config --config run="{name: $$study}"; \
	  $(call of-study,{print $$3 FS $$4}) | while read dataset folder; do \
	    $(BIN)/python -m cfmf.workflow.reference runs/$$study/results/$$dataset docs/results/$$folder; \
	  done; \
	done
	$(BIN)/python docs/cited.py

verify: $(VENV)/study
	$(BIN)/python -m cfmf.workflow.verify

test: lint types unit

lint: $(VENV)/develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/python requirements/lock.py --check
	$(BIN)/python config/describe.py --check

types: $(VENV)/develop
	$(BIN)/mypy

unit: $(VENV)/develop
	$(pytest) --durations 10 -m "not slow"

test-slow: $(VENV)/develop
	$(pytest) --durations 5 -m slow

# In one run, which makes the tiny study and compiles the kernels once.
test-all: lint types
	$(pytest) --durations 20

docs: $(VENV)/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d docs/_build/doctrees docs docs/_build/html
	@echo "Site: $(CURDIR)/docs/_build/html/index.html"

# Tests that take longer and change more of the machine: conda environments, Slurm (root, apt-get),
# killed runs, full disks and network faults.
test-environments: $(VENV)/develop
	$(torch-for-conda-$(TORCH)) $(BIN)/python -m pytest --durations 5 tests/environments

test-cluster: $(VENV)/cluster $(VENV)/kubernetes
	$(BIN)/python -m pytest --durations 5 tests/cluster

test-faults: $(VENV)/develop
	$(BIN)/python -m pytest --durations 10 tests/faults

test-surroundings: $(VENV)/cluster $(VENV)/kubernetes
	$(torch-for-conda-$(TORCH)) $(pytest) --durations 20 tests/environments tests/cluster tests/faults

# Two more workers, as the tests of clusters mostly wait. Every folder by name: beside `tests`, pytest
# takes the folders below it for named twice, and leaves out those that it does not enter by itself.
test-everything: $(VENV)/cluster $(VENV)/kubernetes
	$(torch-for-conda-$(TORCH)) $(pytest) -n 4 --durations 30 tests/[a-z]*/

check-gpu: $(VENV)/study
	$(BIN)/python -m benchmarks.check_gpu

benchmark-gpu: $(VENV)/study
	$(BIN)/python -m benchmarks.gpu

environments: $(VENV)/study
	$(torch-for-conda-$(TORCH)) $(BIN)/snakemake --sdm conda --conda-create-envs-only --cores $(CORES)

# A package without advisory data fails too.
audit: $(VENV)-audit/installed
	$(pip-audit) $(addprefix --requirement ,$(wildcard requirements/*.txt))
	$(pip-audit) --requirement benchmarks/requirements-peers.txt

$(VENV)-audit/installed: Makefile
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet $(AUDIT)
	@touch $@

benchmark: $(VENV)/study $(VENV)-peers/installed
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.neighbours --peers $(VENV)-peers/bin/python
	$(BIN)/python -m benchmarks.factorization --peers $(VENV)-peers/bin/python
	$(BIN)/python -m benchmarks.coverage
	$(BIN)/python -m benchmarks.simulation
	$(BIN)/python -m benchmarks.defaults
	$(BIN)/python -m benchmarks.report

# Built as in LIBMF's own Makefile: its Python package omits the vector instructions. Without the
# cache, which may contain a build without them.
LIBMF := -O3 -march=native -fopenmp -DUSEOMP $(if $(filter x86_64,$(shell uname -m)),-DUSEAVX)

$(VENV)-peers/installed: benchmarks/requirements-peers.txt | $(VENV)/torch-$(TORCH)
	$(PYTHON) -m venv $(VENV)-peers
	CXXFLAGS="$(LIBMF)" LDFLAGS=-fopenmp $(VENV)-peers/bin/python -m pip install --quiet --no-cache-dir \
	  --no-binary libmf --requirement benchmarks/requirements-peers.txt "$$(grep ^torch== requirements/study.txt)"
	@touch $@

format: $(VENV)/develop
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: $(VENV)/develop $(VENV)/docs
	$(BIN)/python requirements/lock.py
	$(BIN)/python config/describe.py

clean:
	rm -rf $(VENV) .venv-* docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .snakemake

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "cfmf needs Python 3.11 or newer; '$(PYTHON)' is older or missing. Specify another one:"; \
	  echo "  make study PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch-$(TORCH): requirements/study.txt | $(BIN)/python
	$(call install-torch-$(TORCH))
	@touch $@

$(VENV)/study: requirements/study.txt | $(VENV)/torch-$(TORCH)
	@echo "Installing the dependencies of the study into $(VENV); this happens once."
	$(BIN)/python -m pip install --quiet --requirement requirements/study.txt
	@touch $@

$(VENV)/develop: requirements/develop.txt $(VENV)/study
	$(BIN)/python -m pip install --quiet --requirement requirements/develop.txt
	@touch $@

$(VENV)/docs: requirements/docs.txt $(VENV)/study
	$(BIN)/python -m pip install --quiet --requirement requirements/docs.txt
	@touch $@

$(VENV)/cluster: requirements/cluster.txt $(VENV)/develop
	$(BIN)/python -m pip install --quiet --requirement requirements/cluster.txt
	@touch $@

$(VENV)/kubernetes: requirements/kubernetes.txt $(VENV)/develop
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements/kubernetes.txt
	@touch $@

# uv knows the address of the CPU builds; pip then keeps the installed torch.
define install-torch-cpu
$(BIN)/python -m pip install --quiet $(UV)
$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu "$$(grep ^torch== requirements/study.txt)"
endef
define install-torch-default
endef

# The same build in the conda environments, whose pip needs the address of the builds.
define torch-for-conda-cpu
PIP_EXTRA_INDEX_URL="$$(grep ^torch== requirements/study.txt | $(BIN)/uv pip compile --quiet \
  --torch-backend cpu --no-deps --no-header --emit-index-annotation - | sed -n 's/.*# from //p')" \
  && test -n "$$PIP_EXTRA_INDEX_URL" && export PIP_EXTRA_INDEX_URL &&
endef
define torch-for-conda-default
endef
