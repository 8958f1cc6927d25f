"""What this machine can do, for a person: `bridgekit doctor`."""

import os
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata

from bridgekit import pages

TOOLS = ("jupyter-book", "jupytext", "papermill", "snakemake", "sphinx-mathjax-offline", "nbval", "ruff")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COMPILERS = ("c++", "g++", "clang++")


def report() -> Iterator[tuple[str, str]]:
    """(what, finding) line by line; nothing in it is fatal."""
    yield "bridgekit", f"{metadata_of('bridgekit')} in {pages.root()}"
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield from _torch()
    for name in TOOLS:
        yield name, metadata_of(name)
    yield from _data()
    yield "free disk", f"{shutil.disk_usage(pages.root()).free / 2**30:.1f} GiB in the repository"
    yield (
        "browser",
        found(BROWSERS) or "none: the rendered-book test is skipped (Debian: apt-get install chromium)",
    )
    yield "C++ compiler", found(COMPILERS) or "none: torch.compile is not available, nothing else is missing"


def metadata_of(package: str) -> str:
    """The version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def found(programs: tuple[str, ...]) -> str | None:
    """The first of `programs` that is on the path."""
    return next(filter(None, map(shutil.which, programs)), None)


def _torch() -> Iterator[tuple[str, str]]:
    """The version, the devices and the threads that torch would use."""
    import torch

    yield "torch", torch.__version__
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    yield "devices", ", ".join(["cpu", *gpus, *mps])
    wanted = os.environ.get("BRIDGEKIT_THREADS") or "1"
    yield "CPU threads", f"{os.cpu_count()} there; each page uses {wanted} (BRIDGEKIT_THREADS)"


def _data() -> Iterator[tuple[str, str]]:
    """Which data sets are there, and where they are looked for."""
    from bridgekit import data

    yield "data root", f"{data.data_root()} (BRIDGEKIT_DATA)"
    for name in ("digits", "mnist"):
        yield name, "present" if data.present(name) else "absent"
