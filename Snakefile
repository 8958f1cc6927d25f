"""The graph: pages -> executed notebooks (with their figures and records) -> the book.

    snakemake --cores 2 --rerun-triggers params                                        the book, at profile quick
    snakemake --cores 2 --rerun-triggers params figures --config profile=paper only=twin_gradients

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


wildcard_constraints:
    page="|".join(KEYS),


rule book:
    input:
        "_build/html/index.html",


rule figures:
    input:
        expand("_build/notebooks/{profile}/{page}.ipynb", profile=PROFILE, page=[ONLY] if ONLY else list(KEYS)),


rule page:
    # The record is marked `update`: Snakemake deletes outputs before a job and after a failed one, and the
    # committed reference runs are outputs of this rule. `bridgekit run` replaces them when a page is done.
    output:
        notebook="_build/notebooks/{profile}/{page}.ipynb",
        record=update("figures/{profile}/{page}/record.json"),
    log:
        "_build/notebooks/{profile}/{page}.failed.ipynb",
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
        "{PYTHON:q} -m bridgekit.book {PROFILE}"
