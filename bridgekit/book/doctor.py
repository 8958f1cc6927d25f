"""What this machine can do, for a person: `bridgekit doctor`."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator

from bridgekit import __version__, data
from bridgekit.book import kernels, pages
from bridgekit.book.records import version
from bridgekit.data.published import SETS
from bridgekit.errors import BridgekitError

TOOLS = ("jupyter-book", "jupytext", "papermill", "snakemake", "sphinx-mathjax-offline", "nbval", "ruff")


def report() -> Iterator[tuple[str, object]]:
    """(what, finding) line by line; nothing in it is fatal."""
    import torch

    cuda, root = torch.cuda, pages.root()
    gpus = [cuda.get_device_name(index) for index in range(cuda.device_count())]
    built = torch.version.cuda or torch.version.hip or "no GPU"
    yield "bridgekit", f"{__version__} in {root}"
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield "torch", f"{torch.__version__}, built for {built}"
    yield "devices", ", ".join(["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])])
    yield (
        "CPU threads",
        _said(lambda: f"{os.cpu_count()}; a page uses {kernels.threads()} (BRIDGEKIT_THREADS)"),
    )
    for name in TOOLS:
        yield name, version(name) or "not installed"
    yield "data root", _said(lambda: f"{data.data_root()} (BRIDGEKIT_DATA)")
    for name in SETS:
        yield name, _said(lambda name=name: "present" if data.present(name) else "absent")
    yield "free disk", f"{shutil.disk_usage(root).free / 2**30:.1f} GiB in the repository"


def _said(what: Callable[[], object]) -> object:
    """What `what` returns, or the error that it raises: doctor reports, and never fails."""
    try:
        return what()
    except BridgekitError as error:
        return error
