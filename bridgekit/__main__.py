"""The command line: bridgekit list | run PAGE | cell PAGE N | why PAGE | claims | doctor | ..."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bridgekit import __version__, files
from bridgekit.book import claims, keys, make, pages, site, verdicts
from bridgekit.errors import BridgekitError, lenient, say


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it worked, 2 for bad input or a page that failed, 130 when interrupted."""
    lenient(sys.stdout, sys.stderr)
    options = _parser().parse_args(arguments)
    before = signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a scheduler's kill cleans up as Ctrl-C does
    try:
        options.command(options)
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
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="bridgekit", description="The book's pages, one by one.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, what: Callable, text: str) -> Callable:
        """Add a command; what is returned adds an option to it."""
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=what)
        return sub.add_argument

    option = command("list", show_pages, "the pages, their parameters and what each profile sets")
    option("--json", action="store_true", help="for machines")
    option = command("run", run_page, "execute one page: a notebook, its figures and its record")
    option("page", metavar="PAGE")
    option("--profile", default="quick", help="smoke, quick (the default) or paper")
    option("--set", action="append", default=[], metavar="NAME=VALUE", help="set one parameter; repeatable")
    where = "instead of figures/PROFILE/PAGE (with --set: figures/custom/PAGE)"
    option("--out", metavar="DIR", help=f"a folder for the results, {where}")
    when = "stop the page after this time (90s, 30m, 2h, or none), whatever the profile says"
    option("--limit", metavar="TIME", help=when)
    option("--lines", action="store_true", help="progress in lines, not in one that changes")
    option = command(
        "cell", play_cells, "play single cells of a page, which `run` then finds; without N, list them"
    )
    option("page", metavar="PAGE")
    option("number", metavar="N", type=int, nargs="?", help="which one, from 0")
    option("--of", metavar="JOBS", type=int, default=0, help="the N-th of so many equal parts, from 0")
    option("--profile", default="quick", help="smoke, quick (the default) or paper")
    option("--set", action="append", default=[], metavar="NAME=VALUE", help="set one parameter; repeatable")
    option = command("why", explain, "what has changed since a page was executed")
    option("page", metavar="PAGE")
    option("--profile", default="quick", help="smoke, quick (the default) or paper")
    option = command("claims", show_claims, "the papers' claims and what the reference runs say of them")
    option("--audit", action="store_true", help="hold the ledger against git's history")
    option("--write", action="store_true", help="with --audit: write the earlier verdicts anew")
    option("--json", action="store_true", help="for machines")
    command("doctor", show_doctor, "what this machine can do")
    option = command("download", download, "fetch a published data set: mnist, svhn or cifar10")
    option("name", metavar="NAME", help="mnist, svhn or cifar10")
    option = command("classifier", classifier, "train the evaluation classifier of a data set")
    option("name", metavar="NAME", help="digits, street, mnist, svhn, cifar10 or folder:PATH")
    option("--size", type=int, help="the images' side, where it is not the data set's own")
    option("--channels", type=int, help="1 or 3, where it is not the data set's own")
    option("--device", default="cpu", help="where it is trained; auto takes a GPU if there is one")
    option = command("html", build_html, "build the book from the executed pages, as `make book` does")
    option("--profile", default="quick", help="whose pages")
    return parser


def show_pages(options: argparse.Namespace) -> None:
    """`bridgekit list`."""
    profiles = pages.profiles()
    facts = [
        {
            "page": name,
            "title": page.title,
            "parameters": {
                p.name: {"type": p.type, "default": p.default, "range": p.range.text, "help": p.help}
                for p in page.parameters.values()
            },
            "profiles": {profile: pages.resolve(name, profile) for profile in profiles},
        }
        for name, page in pages.executed().items()
    ]
    if not facts:
        raise BridgekitError(f"no page of {pages.root() / 'book' / '_toc.yml'} names a kernel in its header")
    if options.json:
        print(json.dumps(facts, indent=2))
        return
    for fact in facts:
        print(f"{fact['page']}: {fact['title']}")
        for name, parameter in fact["parameters"].items():
            others = {profile: values[name] for profile, values in fact["profiles"].items()}
            changed = ", ".join(f"{k} {v!r}" for k, v in others.items() if v != parameter["default"])
            allowed = f", {parameter['range']}" if parameter["range"] else ""
            declaration = f"  {name}: {parameter['type']} = {parameter['default']!r}{allowed}"
            print(declaration + (f"  ({changed})" if changed else ""))


def run_page(options: argparse.Namespace) -> None:
    """`bridgekit run PAGE`."""
    values = pages.find(options.page).parse(options.set)
    live = sys.stderr.isatty() and not options.lines
    for classifier in make.classifiers(options.page, options.profile, values):
        _made(**classifier)
    limit = pages.limit(options.profile, options.limit, bool(values))
    print(make.run(options.page, options.profile, values, options.out, live=live, limit=limit))


def play_cells(options: argparse.Namespace) -> None:
    """`bridgekit cell PAGE [N]`."""
    if (
        (options.number or 0) < 0
        or options.of < 0
        or (options.of and options.number not in range(options.of))
    ):
        raise BridgekitError(f"cell {options.number} of {options.of}: both count from 0, and N is below JOBS")
    values = pages.find(options.page).parse(options.set)
    for each in make.classifiers(options.page, options.profile, values):
        _made(**each)
    make.fill(options.page, options.profile, values, (options.number, options.of))


def explain(options: argparse.Namespace) -> None:
    """`bridgekit why PAGE`."""
    pages.find(options.page)
    reasons = keys.why(options.page, options.profile)
    print("\n".join(reasons) or "nothing has changed since it was executed")


def build_html(options: argparse.Namespace) -> None:
    """`bridgekit html`."""
    print(f"book: {site.build(options.profile)}")


def show_claims(options: argparse.Namespace) -> None:
    """`bridgekit claims`."""
    if options.write and not options.audit:
        raise BridgekitError("--write is for the audit: bridgekit claims --audit --write.")
    if options.json and options.audit:
        raise BridgekitError("the audit has no --json: leave one of the two out.")
    if options.audit:
        return show_audit(pages.root(), options.write)
    ledger = claims.ledger(pages.root())
    if options.json:
        print(json.dumps([verdict.as_dict() for verdict in ledger], indent=2))
        return
    for each in ledger:
        marks = ", ".join(filter(None, [each.mark, "superseded" if each.superseded else ""]))
        said = f"({marks}; {each.reason})" if marks else f"({each.reason})"
        print(f"{each.claim.id:4} {each.verdict:15} {each.claim.statement} {said}")


def show_audit(root: Path, write: bool = False) -> None:
    """`bridgekit claims --audit`: history's own account of every row; BridgekitError where they differ."""
    from bridgekit.book import audit

    for path in audit.write(root) if write else ():
        print(f"written: {path.relative_to(root)}")
    findings, wrong = audit.audit(root), audit.changed(root) + audit.check(root)
    for found in findings:
        print(f"{found.id:5}{found.mark or 'fault':17}{found.fault or found.detail}")
    for mark in verdicts.MARKS:
        print(f"{sum(found.mark == mark for found in findings)} rows {mark}")
    wrong += [f"{found.id}: {found.fault}" for found in findings if found.fault]
    if wrong:
        raise BridgekitError("the ledger and its history differ. " + "; ".join(wrong))
    print("the earlier verdicts are what their commits say")


def show_doctor(options: argparse.Namespace) -> None:
    """`bridgekit doctor`."""
    from bridgekit.book import doctor

    for what, finding in doctor.report():
        print(f"{what:23} {finding}")


def download(options: argparse.Namespace) -> None:
    """`bridgekit download NAME`."""
    from bridgekit import data

    print(data.download(options.name))


def classifier(options: argparse.Namespace) -> None:
    """`bridgekit classifier NAME`."""
    made = _made(options.name, options.size, options.channels, options.device)
    print(f"{made.name}: accuracy {made.accuracy:.4f} on its test images, weights {made.fingerprint}")


def _made(name: str, size: int | None = None, channels: int | None = None, device: str = "cpu"):
    """The classifier, trained where it is missing."""
    from bridgekit import random
    from bridgekit.measure import classifiers

    return classifiers.make(name, size=size, channels=channels, device=random.device(device))


if __name__ == "__main__":
    sys.exit(main())
