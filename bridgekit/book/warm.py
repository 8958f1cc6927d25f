"""Kernels forked from a process that has imported PyTorch once: five processor seconds less a page.

A build starts that process, which ends with it (`kernels.warmed`), and ``$BRIDGEKIT_WARM`` names its socket.
What a kernel's manager starts is then this file, a program that imports nothing heavy: it hands over its
command, surroundings and streams, ends as the kernel ends, and takes the kernel with it when it is killed.
Where nobody listens, it becomes the kernel.
"""

import contextlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys
from typing import NoReturn

MODULES = (
    *("IPython", "ipykernel.ipkernel", "ipykernel.kernelapp", "matplotlib.pyplot", "scipy.stats"),
    *("torch", "torch._dynamo", "torchvision", "torchmetrics"),  # an optimiser imports torch._dynamo
)


def serve(address: str, modules: list[str]) -> None:
    """Fork a kernel for each who asks, until standard input ends; import first when the first one asks."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    del sys.path[0]  # this file's own folder
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            asked, _ = listening.accept()
            for name in modules:
                importlib.import_module(name)
            if os.fork() == 0:
                listening.close()
                return tend(asked)
            asked.close()


def tend(asked: socket.socket) -> None:
    """A kernel's nurse: tells how it ended to who asked for it, and ends it when that one is gone."""
    _, streams, *_ = socket.recv_fds(asked, 1, 3)
    told = json.loads(asked.makefile("rb").readline())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kernel = os.fork()
    if kernel == 0:
        asked.close()
        return become(told, streams)
    _tell(asked, kernel)
    while (found := os.waitpid(kernel, os.WNOHANG))[0] == 0:
        if select.select([asked], [], [], 0.05)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(kernel, signal.SIGKILL)
    _tell(asked, os.waitstatus_to_exitcode(found[1]))
    os._exit(0)


def _tell(asked: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # who asked is gone
        asked.sendall(b"%d\n" % number)


def become(told: dict, streams: list[int]) -> None:
    """The kernel, in the surroundings that it was asked for in."""
    import tempfile

    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(told["env"])
    os.chdir(told["cwd"])
    tempfile.tempdir = None  # it may have been looked up
    sys.path[:0] = dict.fromkeys(filter(None, told["env"].get("PYTHONPATH", "").split(os.pathsep)))
    sys.argv = [importlib.util.find_spec("ipykernel_launcher").origin, *told["argv"]]
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance(parent_handle=os.getppid())  # without it, it would tell how to connect


def ask(address: str, cold: list[str]) -> None:
    """Ask for the kernel of the command `cold`, and end as it ends; with nobody there, run that command."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # passed on, it would come late
    parent = os.getppid()
    told = {"argv": cold[cold.index("-f") :], "env": dict(os.environ), "cwd": os.getcwd()}
    with socket.socket(socket.AF_UNIX) as asked, contextlib.suppress(OSError):
        asked.connect(address)
        socket.send_fds(asked, [b"k"], [0, 1, 2])
        asked.sendall(json.dumps(told).encode() + b"\n")
        if (answers := asked.makefile("rb")) and answers.readline():  # it is there
            while not select.select([asked], [], [], 1.0)[0]:
                if os.getppid() != parent:  # killed, and nobody else would end the kernel
                    sys.exit(1)
            _end_as(int(answers.readline() or 1))
    signal.signal(signal.SIGINT, interrupted)
    os.execv(cold[0], cold)


def _end_as(status: int) -> NoReturn:
    """End with a status as `waitpid` tells it: of a signal, by that signal."""
    if status < 0:
        os.kill(os.getpid(), -status)
    sys.exit(abs(status))


if __name__ == "__main__":
    address, how, *rest = sys.argv[1:]
    serve(address, rest) if how == "serve" else ask(address, rest)
