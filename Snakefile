# The graph: pages -> executed notebooks (with their figures and records) -> the book.
#
#     snakemake book --cores 2
#     snakemake figures --cores 2 --config profile=paper only=twin_gradients
#     snakemake figures --cores 2 --config profile=paper only=plane cells=2
#
#     snakemake --profile cluster/slurm --config profile=paper
#
# A page is run again when its content key changes (bridgekit.book.keys.key): with the options in profiles/default,
# time stamps count for nothing. Jobs meet in the file system alone, so any executor plugin will do.

import atexit
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, workflow.basedir)

from bridgekit.book import kernels, keys, make, pages, placement, site
from bridgekit.errors import BridgekitError
from snakemake.exceptions import WorkflowError

PYTHON = sys.executable
PROFILE = config.get("profile", "quick")
ONLY = config.get("only")
LIMIT = str(config.get("limit") or "")
JOBS = int(config.get("cells", 0))  # in so many jobs the cells of each page are played before the page is run
if "BRIDGEKIT_ERRORS" not in os.environ:  # else this is a job of a call that has set it
    os.environ["BRIDGEKIT_ERRORS"] = os.path.abspath(f".snakemake/errors-{uuid4().hex}")
    atexit.register(Path(os.environ["BRIDGEKIT_ERRORS"]).unlink, missing_ok=True)
ERRORS = Path(os.environ["BRIDGEKIT_ERRORS"])

try:
    placement.recover(pages.root())  # what a kill interrupted
    KEYS = {page: keys.key(page, PROFILE) for page in pages.executed()}
    SWEEPS = {page for page in KEYS if make.SWEEP in pages.find(page).code}
    BOOK = site.key(PROFILE)
    if ONLY:
        pages.find(ONLY)
    if kernels.WARM not in os.environ:  # else this is a job of a call that has set it
        held = ExitStack()
        os.environ[kernels.WARM] = held.enter_context(kernels.warmed())
        atexit.register(held.close)
except BridgekitError as error:
    raise WorkflowError(f"bridgekit: {error}") from None


# The page's cells, where they are played in jobs of their own. The scoreboard reads the reference runs: where they
# are being made, it comes after them.
def before(wildcards):
    after = keys.reads_ledger(wildcards.page) and wildcards.profile == pages.PAPER and not ONLY
    first = [page for page in KEYS if after and not keys.reads_ledger(page)]
    parts = range(JOBS if wildcards.page in SWEEPS else 0)
    cells = [f"_build/cells/{wildcards.profile}/{wildcards.page}/{n}-of-{JOBS}.txt" for n in parts]
    return cells + [f"_build/notebooks/{wildcards.profile}/{page}.ipynb" for page in first]


# What failed and the way out, as the jobs left it, after all that Snakemake has to say itself.
def last_word():
    none = "bridgekit: a job ended without a word of its own: see the lines above\n"
    print(ERRORS.read_text(encoding="utf-8") if ERRORS.exists() else none, end="", file=sys.stderr)


onerror:
    atexit.register(last_word)


wildcard_constraints:
    page="|".join(KEYS),


rule book:
    input:
        "_build/html/index.html",
        "_build/html.whole",


rule figures:
    input:
        expand("_build/notebooks/{profile}/{page}.ipynb", profile=PROFILE, page=[ONLY] if ONLY else list(KEYS)),


rule page:
    # Snakemake deletes outputs before a job and after a failed one, unless they are marked `update`: what stands
    # in place stays until `bridgekit run` replaces it, and of two calls at once none takes the other's. The
    # notebook of a failed page stands beside the output under a name of its own: <page>.failed.ipynb.
    input:
        before,
    output:
        notebook=update("_build/notebooks/{profile}/{page}.ipynb"),
        record=update("figures/{profile}/{page}/record.json"),
    params:
        key=lambda wildcards: KEYS[wildcards.page],
    threads: lambda wildcards: pages.resolve(wildcards.page, wildcards.profile).get("workers", 1)
    resources:  # for batch systems; the longest reference run took three to four hours of two cores
        mem_mb=8000,
        runtime=600,
    shell:
        "{PYTHON:q} -m bridgekit run {wildcards.page} --profile {wildcards.profile} --limit={LIMIT:q}"


rule cells:
    # One of several equal parts of a page's cells. Finished ones lie in the store, which any later job reads; a
    # second job that wants one that is being made waits for it.
    output:
        touch("_build/cells/{profile}/{page}/{part}-of-{jobs}.txt"),
    params:
        key=lambda wildcards: KEYS[wildcards.page],
    threads: lambda wildcards: pages.resolve(wildcards.page, wildcards.profile).get("workers", 1)
    resources:
        mem_mb=8000,
        runtime=600,
    shell:
        "{PYTHON:q} -m bridgekit cell {wildcards.page} {wildcards.part} --of {wildcards.jobs} "
        "--profile {wildcards.profile}"


rule html:
    input:
        expand("_build/notebooks/{profile}/{page}.ipynb", profile=PROFILE, page=list(KEYS)),
    # The earlier book stays until the new one is whole. Snakemake deletes the mark before and after a build that
    # fails; without it, it would take the earlier book for the new one.
    output:
        html=update("_build/html/index.html"),
        mark=touch("_build/html.whole"),
    params:
        key=BOOK,
    threads: 1
    shell:
        "{PYTHON:q} -m bridgekit html --profile {PROFILE:q}"
