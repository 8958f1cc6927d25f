"""The graph: pages -> executed notebooks (with their figures and records) -> the book.

    snakemake book --cores 2 --rerun-triggers params
    snakemake figures --cores 2 --rerun-triggers params --config profile=paper only=twin_gradients

A page is run again when its content key changes (bridgekit.pages.key): with `--rerun-triggers params`, time
stamps count for nothing. Jobs meet in the file system alone, so any executor plugin will do.
"""

import sys

sys.path.insert(0, workflow.basedir)

from bridgekit import book, pages
from bridgekit.errors import BridgekitError
from snakemake.exceptions import WorkflowError

PYTHON = sys.executable
PROFILE = config.get("profile", "quick")
ONLY = config.get("only")

try:
    KEYS = {page: pages.key(page, PROFILE) for page in pages.names()}
    BOOK = book.key(PROFILE)
    if ONLY:
        pages.source(ONLY)
except BridgekitError as error:
    raise WorkflowError(f"bridgekit: {error}") from None


def before(wildcards):
    """The scoreboard reads the reference runs: where they are being made, it comes after them."""
    first = wildcards.page in pages.READERS and wildcards.profile == "paper" and not ONLY
    makers = [page for page in KEYS if page not in pages.READERS] if first else []
    return expand("_build/notebooks/paper/{page}.ipynb", page=makers)


wildcard_constraints:
    page="|".join(KEYS),


rule book:
    input:
        "_build/html/index.html",


rule figures:
    input:
        expand("_build/notebooks/{profile}/{page}.ipynb", profile=PROFILE, page=[ONLY] if ONLY else list(KEYS)),


rule page:
    # Snakemake deletes outputs before a job and after a failed one. The record is marked `update` because the
    # committed reference runs are outputs too (`bridgekit run` replaces them when a page is done), and the
    # notebook of a failed page stands beside the output under a name of its own: <page>.failed.ipynb.
    input:
        before,
    output:
        notebook="_build/notebooks/{profile}/{page}.ipynb",
        record=update("figures/{profile}/{page}/record.json"),
    params:
        key=lambda wildcards: KEYS[wildcards.page],
    threads: 1
    shell:
        "{PYTHON:q} -m bridgekit run {wildcards.page} --profile {wildcards.profile} --lines"


rule html:
    input:
        expand("_build/notebooks/{profile}/{page}.ipynb", profile=PROFILE, page=list(KEYS)),
    output:
        "_build/html/index.html",
    params:
        key=BOOK,
    threads: 1
    shell:
        "{PYTHON:q} -m bridgekit.book {PROFILE:q}"
