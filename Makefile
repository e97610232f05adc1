# make study   the default study, from a bare clone to the report
# make jax     JAX too, for `snakemake … --configfile config/jax.yaml` (JAX=cuda: its CUDA build)
# make test    checks and tests, but those of docs, test-slow and test-surroundings
# make docs    the documentation site
# make verify  whether every result is still as it was written
# make help    the rest

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# Which build of torch: `default` is what the package index serves (on Linux a CUDA build of
# several gigabytes), `cpu` the CPU build.
TORCH ?= default
# Which build of JAX: `cpu`, or `cuda`, which adds NVIDIA's libraries to it.
JAX ?= cpu
jax-cuda = "$$(sed -n 's/^jax==/jax[cuda13]==/p' requirements/jax.txt)"
CORES ?= all

# Tools beside the locks.
UV := uv==0.13.9
AUDIT := pip-audit==2.10.1
pip-audit = $(VENV)-audit/bin/pip-audit --strict --disable-pip --no-deps

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help study jax environments verify audit test lint format types unit docs test-slow \
  test-environments test-cluster test-faults test-surroundings check-gpu lock benchmark clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make format  rewrite the code in the project's style"
	@echo "make lock    renew the locks, envs/*.yaml and config/README.md from their single sources"
	@echo "make environments  create the conda environments of --sdm conda (needs conda); TORCH counts here too"
	@echo "make audit   known vulnerabilities of all that is locked (needs the package index's advisories)"
	@echo "make test-slow  tests that take a minute or so each"
	@echo "make test-environments, test-cluster, test-faults  the same by name; test-surroundings: all three"
	@echo "make check-gpu  every kernel on this machine's GPU against the CPU, with timings"
	@echo "make benchmark  side-by-side runs against other libraries, in their own environment"
	@echo "make clean   remove environments and caches; results stay"

study: $(VENV)/study
	$(BIN)/snakemake --cores $(CORES) --resources gpu=1
	@echo "The report lies at:"; ls -1 $(CURDIR)/results/*/report.html

jax: $(VENV)/study
	$(BIN)/python -m pip install --quiet --requirement requirements/jax.txt $(jax-$(JAX))

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
	$(BIN)/python -m pytest -n 2 --dist loadgroup --durations 10 -m "not slow"

test-slow: $(VENV)/develop
	$(BIN)/python -m pytest -n 2 --dist loadgroup --durations 5 -m slow

docs: $(VENV)/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d docs/_build/doctrees docs docs/_build/html
	@echo "The site lies at: $(CURDIR)/docs/_build/html/index.html"

# What takes longer and touches more of the machine: conda environments, a Slurm (root, apt-get), and
# kills, full disks and bad networks.
test-environments: $(VENV)/develop
	$(torch-for-conda-$(TORCH)) $(BIN)/python -m pytest --durations 5 tests/environments

test-cluster: $(VENV)/cluster
	$(BIN)/python -m pytest --durations 5 tests/cluster

test-faults: $(VENV)/develop
	$(BIN)/python -m pytest --durations 10 tests/faults

# Two at a time: a Slurm's jobs are waited for more than they compute.
test-surroundings: $(VENV)/cluster
	$(torch-for-conda-$(TORCH)) $(BIN)/python -m pytest -n 2 --dist loadfile --durations 20 \
	  tests/environments tests/cluster tests/faults

check-gpu: $(VENV)/study
	$(BIN)/python -m benchmarks.check_gpu

environments: $(VENV)/study
	$(torch-for-conda-$(TORCH)) $(BIN)/snakemake --sdm conda --conda-create-envs-only --cores $(CORES)

# What the advisories do not know fails too: silence is no good news.
audit: $(VENV)-audit/installed
	$(pip-audit) $(addprefix --requirement ,$(wildcard requirements/*.txt))
	$(pip-audit) --requirement benchmarks/requirements-peers.txt

$(VENV)-audit/installed: Makefile
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet $(AUDIT)
	@touch $@

benchmark: $(VENV)/study $(VENV)-peers/installed
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/neighbours.py --peers $(VENV)-peers/bin/python
	$(BIN)/python benchmarks/factorization.py --peers $(VENV)-peers/bin/python
	$(BIN)/python benchmarks/type_one_error.py
	$(BIN)/python benchmarks/report.py

# As LIBMF's own Makefile builds it: its package for Python leaves the vector instructions out. No
# cache, or a build without them might be taken.
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
	  echo "cfmf needs Python 3.11 or newer; '$(PYTHON)' is older or missing. Name another one:"; \
	  echo "  make study PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch-$(TORCH): requirements/study.txt | $(BIN)/python
	$(call install-torch-$(TORCH))
	@touch $@

$(VENV)/study: requirements/study.txt | $(VENV)/torch-$(TORCH)
	@echo "Installing what the study needs into $(VENV); this happens once."
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

# uv knows where the CPU builds lie; pip takes what is there for the rest.
define install-torch-cpu
$(BIN)/python -m pip install --quiet $(UV)
$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu "$$(grep ^torch== requirements/study.txt)"
endef
define install-torch-default
endef

# The same build in the conda environments, whose pip must be told where it lies.
define torch-for-conda-cpu
PIP_EXTRA_INDEX_URL="$$(grep ^torch== requirements/study.txt | $(BIN)/uv pip compile --quiet \
  --torch-backend cpu --no-deps --no-header --emit-index-annotation - | sed -n 's/.*# from //p')" \
  && test -n "$$PIP_EXTRA_INDEX_URL" && export PIP_EXTRA_INDEX_URL &&
endef
define torch-for-conda-default
endef
