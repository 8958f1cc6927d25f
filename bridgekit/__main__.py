"""The command line: `bridgekit COMMAND`; the commands stand in one table at the end."""

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from bridgekit import __version__, files
from bridgekit.book import audit, cite, claims, index, kernels, keys, make, pages, records, site, verdicts
from bridgekit.errors import BridgekitError, say


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it worked, 2 for bad input or a page that failed, 130 when interrupted."""
    for stream in (sys.stdout, sys.stderr):  # what a terminal cannot show comes out as `?`
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    kernels.keep_memory()  # cells are played, and classifiers trained, in this process
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's kill cleans up as Ctrl-C does
    try:
        for line in options.command(options):
            print(line)
        sys.stdout.flush()
    except BridgekitError as error:
        say(error)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        say("interrupted; what stood in place before still does")
        return 130
    except BrokenPipeError:  # `bridgekit list | head`: nobody reads on, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in files.FULL:
            raise
        say(f"cannot write {error.filename or 'what was to be printed'}: {files.why(error)}")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    """The commands of the table below and their options."""
    parser = argparse.ArgumentParser(prog="bridgekit", description="The book's pages, one by one.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (what, text, arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=what)
        for argument, settings in arguments.items():
            command.add_argument(argument, **settings)
    return parser


def show_pages(options: argparse.Namespace) -> Iterator[str]:
    """`bridgekit list`."""
    shown = {options.page: pages.find(options.page)} if options.page else pages.executed()
    if not shown:
        raise BridgekitError(f"no page of {pages.root() / 'book' / '_toc.yml'} names a kernel in its header")
    for name, page in shown.items():
        values = {profile: pages.resolve(name, profile) for profile in pages.profiles()}
        yield f"{name}: {page.title}"
        for p in page.parameters.values():
            own = {each: records.portable(given[p.name], pages.root()) for each, given in values.items()}
            others = ", ".join(f"{profile} {value!r}" for profile, value in own.items() if value != p.default)
            yield f"  {p.name}: {p.type} = {p.default!r}" + (f"  ({others})" if others else "")
            allowed = f"allowed: {p.range.text}" if p.range.text else ""
            yield from (f"      {words}" for words in (p.help, allowed) if words)


def run_page(options: argparse.Namespace) -> Iterator[Path]:
    """`bridgekit run PAGE`."""
    values = _values(options)
    limit = pages.limit(options.profile, options.limit or None, bool(values))
    yield make.run(options.page, options.profile, values, options.out, limit=limit)


def _values(options: argparse.Namespace) -> dict[str, object]:
    """What --set says; the classifiers that the page then needs are made where they are missing."""
    values = pages.find(options.page).parse(options.set)
    for each in make.classifiers(options.page, options.profile, values):
        make.classifier(**each)
    return values


def play_cells(options: argparse.Namespace) -> Iterable[str]:
    """`bridgekit cell PAGE [N]`."""
    number, jobs = options.number, options.of
    if (number or 0) < 0 or (jobs and number not in range(jobs)):
        raise BridgekitError(f"cell {number} of {jobs}: both count from 0, and N is below JOBS")
    make.fill(options.page, options.profile, _values(options), (number, jobs))
    return ()


def show_claims(options: argparse.Namespace) -> Iterator[str]:
    """`bridgekit claims`."""
    audited = options.audit or options.write
    if options.json and audited:
        raise BridgekitError("the audit has no --json: leave one of the two out.")
    if audited:
        yield from show_audit(pages.root(), options.write)
        return
    ledger = claims.ledger(pages.root())
    if options.json:
        yield json.dumps([verdict.as_dict() for verdict in ledger], indent=2)
        return
    for each in ledger:
        said = "; ".join(filter(None, [each.mark, "superseded" if each.superseded else "", each.reason]))
        yield f"{each.claim.id:4} {each.verdict:15} {each.claim.statement} ({said})"


def show_audit(root: Path, write: bool = False) -> Iterator[str]:
    """`bridgekit claims --audit`: history's own account of every row; BridgekitError where they differ."""
    for path in audit.write(root) if write else ():
        yield f"written: {path.relative_to(root)}"
    findings, wrong = audit.audit(root), audit.changed(root) + audit.check(root)
    for found in findings:
        yield f"{found.id:5}{found.mark or 'fault':17}{found.fault or found.detail}"
    for mark in verdicts.MARKS:
        yield f"{sum(found.mark == mark for found in findings)} rows {mark}"
    wrong += [f"{found.id}: {found.fault}" for found in findings if found.fault]
    if wrong:
        raise BridgekitError("the ledger and its history differ. " + "; ".join(wrong))
    yield "the earlier verdicts are what their commits say"


def show_doctor(options: argparse.Namespace) -> Iterator[str]:
    """`bridgekit doctor`."""
    from bridgekit.book import doctor

    yield from (f"{what:23} {finding}" for what, finding in doctor.report())


def download(options: argparse.Namespace) -> Iterator[str]:
    """`bridgekit download NAME`."""
    from bridgekit import data

    yield data.download(options.name)


def classifier(options: argparse.Namespace) -> Iterator[str]:
    """`bridgekit classifier NAME`."""
    made = make.classifier(options.name, options.size, options.channels, options.device)
    yield f"{made.name}: accuracy {made.accuracy:.4f} on its test images, weights {made.fingerprint}"
    yield from (f"{accuracy:8.4f} {name}" for name, accuracy in made.attributes.items())


PROFILE = {"default": "quick", "help": "smoke, quick (the default), paper or full"}
SET = {"action": "append", "default": [], "metavar": "NAME=VALUE", "help": "set one parameter; repeatable"}
UNCHANGED = "nothing has changed since it was executed"
PAGE = {"metavar": "PAGE", "help": "its name, as `bridgekit list` says it"}
COMMANDS = {  # name: (function of the options that returns what is printed, line by line; help; arguments)
    "list": (
        show_pages,
        "the pages; what their parameters mean and allow, and what each profile sets",
        {"page": PAGE | {"nargs": "?"}},
    ),
    "run": (
        run_page,
        "execute one page: a notebook, its figures and its record",
        {
            "page": PAGE,
            "--profile": PROFILE,
            "--set": SET,
            "--out": {
                "metavar": "DIR",
                "help": "a folder for the results, instead of figures/PROFILE/PAGE "
                "(with --set: figures/custom/PAGE)",
            },
            "--limit": {
                "metavar": "TIME",
                "help": "stop the page after this time (90s, 30m, 2h, or none), whatever the profile says",
            },
        },
    ),
    "cell": (
        play_cells,
        "play single cells of a page, which `run` then finds; without N, list them",
        {
            "page": PAGE,
            "number": {"metavar": "N", "type": int, "nargs": "?", "help": "which one, from 0"},
            "--of": {
                "metavar": "JOBS",
                "type": int,
                "default": 0,
                "help": "the N-th of so many equal parts, from 0",
            },
            "--profile": PROFILE,
            "--set": SET,
        },
    ),
    "why": (
        lambda options: keys.why(options.page, options.profile) or [UNCHANGED],
        "what has changed since a page was executed",
        {"page": PAGE, "--profile": PROFILE},
    ),
    "cite": (
        lambda options: cite.lines(options.page),
        "the papers' places that a page is about, the errata that touch them, and how to cite the papers",
        {"page": PAGE},
    ),
    "where": (
        lambda options: index.lines(" ".join(options.item)),
        "an equation, figure ... of a paper: its code, what checks it, its claims, chapters and errata",
        {"item": {"metavar": "ITEM", "nargs": "+", "help": "A.15, eq 15 A, A Figure 4, B Table 2 ..."}},
    ),
    "claims": (
        show_claims,
        "the papers' claims and what the reference runs say of them",
        {
            "--audit": {"action": "store_true", "help": "hold the ledger against git's history"},
            "--write": {"action": "store_true", "help": "audit, and write the earlier verdicts anew"},
            "--json": {"action": "store_true", "help": "for machines"},
        },
    ),
    "doctor": (show_doctor, "what this machine can do", {}),
    "download": (
        download,
        "fetch a published data set: mnist, svhn, cifar10 or celeba",
        {"name": {"metavar": "NAME", "help": "mnist, svhn, cifar10 or celeba"}},
    ),
    "classifier": (
        classifier,
        "train the evaluation classifier of a data set",
        {
            "name": {
                "metavar": "NAME",
                "help": "digits, street, faces, mnist, svhn, cifar10, celeba or folder:PATH",
            },
            "--size": {"type": int, "help": "the images' side, where it is not the data set's own"},
            "--channels": {"type": int, "help": "1 or 3, where it is not the data set's own"},
            "--device": {"default": "cpu", "help": "where it is trained; auto takes a GPU if there is one"},
        },
    ),
    "html": (
        lambda options: [f"book: {site.build(options.profile)}"],
        "build the book from the executed pages, as `make book` does",
        {"--profile": PROFILE},
    ),
}

if __name__ == "__main__":
    sys.exit(main())
