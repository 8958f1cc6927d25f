"""What this machine can do, for a person: `bridgekit doctor`."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator

from bridgekit import __version__, data, files
from bridgekit.book import kernels, pages
from bridgekit.book.records import version
from bridgekit.errors import BridgekitError

TOOLS = ("jupyter-book", "jupytext", "papermill", "snakemake", "sphinx-mathjax-offline", "nbval", "ruff")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "none: the rendered-book test is skipped (Debian: apt-get install chromium)"


def report() -> Iterator[tuple[str, str]]:
    """(what, finding) line by line; nothing in it is fatal."""
    yield "bridgekit", f"{__version__} in {pages.root()}"
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield from _torch()
    for name in TOOLS:
        yield name, version(name) or "not installed"
    yield "data root", _said(lambda: f"{data.data_root()} (BRIDGEKIT_DATA)")
    for name in ("digits", "street", "mnist", "svhn", "cifar10"):
        yield name, _said(lambda name=name: "present" if data.present(name) else "absent")
    yield "home folder", _said(files.home)
    yield "temporary folder", _said(kernels.temporary)
    yield "free disk", f"{shutil.disk_usage(pages.root()).free / 2**30:.1f} GiB in the repository"
    yield "browser", next(filter(None, map(shutil.which, BROWSERS)), NO_BROWSER)


def _torch() -> Iterator[tuple[str, str]]:
    """The version, the devices and the threads that torch would use."""
    import torch

    yield "torch", torch.__version__
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    yield "devices", ", ".join(["cpu", *gpus, *mps]) + ("" if gpus or mps else f" ({_no_gpu(torch.version)})")
    threads = _said(lambda: f"each page uses {kernels.threads()} (BRIDGEKIT_THREADS)")
    yield "CPU threads", f"{os.cpu_count()} there; {threads}"


def _no_gpu(torch) -> str:
    """Why a torch of this version sees no GPU."""
    built = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}" if torch.hip else ""
    return (
        f"no GPU: torch is built for {built} and finds none" if built else "this torch is built without GPUs"
    )


def _said(what: Callable[[], object]) -> str:
    """What `what` returns, or the error that it raises: doctor reports, and never fails."""
    try:
        return str(what())
    except BridgekitError as error:
        return str(error)
