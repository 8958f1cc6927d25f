# make book       executes the pages that changed and builds _build/html/index.html
# make test       runs every test
# make mutants    changes the library in small ways, one at a time, and counts what the unit tests see
# make figures    redraws figures/<profile>/: make figures PROFILE=paper ONLY=twin_gradients
# make lint       ruff over the code and over the pages' cells
# make clean      removes what these make, and keeps .venv and figures/paper
#
# Variables: PYTHON (3.11 or newer), PROFILE (smoke, quick, paper), ONLY (one page), JOBS (pages in parallel),
# LIMIT (a page that takes longer is stopped: 30m, 2h; none).

PYTHON ?= python3
PROFILE ?= quick
ONLY ?=
LIMIT ?=
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

BIN := .venv/bin
READY := .venv/.ready
# Snakemake wants a cache folder that it can write: who has no such home gets one here.
CACHE := $(shell test -w "$$HOME" || echo XDG_CACHE_HOME='$(CURDIR)/_build/cache')
SNAKEMAKE := $(CACHE) $(BIN)/snakemake --cores $(JOBS) --config profile=$(PROFILE) only=$(ONLY) limit=$(LIMIT)

# Some machines are told to keep no bytecode: each of a hundred processes would then compile what it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: book test mutants figures lint clean

book: $(READY)
	@$(SNAKEMAKE) -- book

test: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

mutants: $(READY)
	@$(BIN)/python tests/drawn_mutants.py --jobs $(JOBS)

figures: $(READY)
	@$(SNAKEMAKE) -- figures

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PATH="$(CURDIR)/$(BIN):$$PATH" tests/lint_pages.sh book/*.md

clean:
	@rm -rf _build .snakemake figures/quick figures/smoke figures/custom .pytest_cache .ruff_cache .coverage

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is missing or older than Python 3.11; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "make: installing into .venv (once; PyTorch with CUDA takes about 5 GB, README.md names a smaller way)"
	@$(PYTHON) -m venv .venv
	@# Compiling all of it takes a minute more; what is imported is compiled then.
	@$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[book,test]'
	@touch $@
