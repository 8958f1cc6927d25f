"""Pages: found, checked strictly, keyed by content, begun, and run so that a result is whole or not there."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import torch
from conftest import CLAIM, tell

from bridgekit import closure
from bridgekit.__main__ import main
from bridgekit.book import keys, make, pages, placement, runs
from bridgekit.errors import BridgekitError


def test_root_is_found_from_below_or_named(toy_book, monkeypatch, tmp_path):
    monkeypatch.chdir(toy_book.root / "book")
    assert pages.root() == toy_book.root
    monkeypatch.chdir(tmp_path)
    assert pages.root() == closure.PACKAGE.parent
    tell(monkeypatch, tmp_path / "spec", root=toy_book.root)
    assert pages.root() == toy_book.root
    tell(monkeypatch, tmp_path / "spec", root=tmp_path)
    with pytest.raises(BridgekitError, match="with profiles/ beside it in .*: go to the repository"):
        pages.root()


def test_somebody_elses_jupyter_book_is_not_taken_for_this_one(toy_book, monkeypatch, tmp_path):
    toy_book.write(f"{tmp_path}/other/book/_toc.yml", "format: jb-book\nroot: intro\n")
    monkeypatch.chdir(tmp_path / "other")
    assert pages.root() == closure.PACKAGE.parent


def test_a_spec_that_cannot_be_read_is_one_sentence(monkeypatch, tmp_path):
    for text in ("{", "[]"):
        tell(monkeypatch, tmp_path / "spec")
        (tmp_path / "spec").write_text(text)
        with pytest.raises(BridgekitError, match="BRIDGEKIT_SPEC names .*: unset BRIDGEKIT_SPEC, or write"):
            pages.root()


def test_a_page_is_read_once(toy_book, monkeypatch, capsys):
    """For one key, and for the list of all pages with all their profiles: anew only where it has changed."""
    opened, read = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read(path))
    for act in (lambda: keys.key("alpha"), lambda: main(["list"]), lambda: keys.key("beta")):
        act()
    assert sorted(name for name in opened if name.endswith(".md")) == ["alpha.md", "beta.md", "welcome.md"]
    toy_book.edit("book/alpha.md", "follows", "comes")
    keys.key("alpha")
    assert opened.count("alpha.md") == 2 and opened.count("beta.md") == 1


def test_contents_in_the_books_order(toy_book):
    assert pages.contents() == ["welcome", "alpha", "beta"]
    assert list(pages.executed()) == ["alpha", "beta"]
    assert pages.find("alpha").title == "The first page"
    assert pages.profiles() == ["paper", "quick", "smoke"]


def test_values_come_from_page_profile_and_hand(toy_book):
    assert pages.resolve("alpha") == {"seed": 3, "scale": 2.0, "names": ["a"]}
    assert pages.resolve("alpha", "paper") == {"seed": 7, "scale": 2.0, "names": ["a", "b"]}
    assert pages.resolve("alpha", "smoke")["scale"] == 1e-3
    assert pages.resolve("alpha", "paper", {"seed": 1, "scale": 4}) == {
        "seed": 1,
        "scale": 4.0,
        "names": ["a", "b"],
    }


def test_settings_of_the_command_line(toy_book):
    alpha, found = pages.find("alpha"), {"seed": 4, "names": ["x"], "scale": 0.01}
    assert alpha.parse(["seed=4", "names=[x]", "scale=1e-2"]) == found
    assert pages.find("beta").parse(["text=a=b"]) == {"text": "a=b"}
    with pytest.raises(BridgekitError, match="wants name=value, not 'seed'"):
        alpha.parse(["seed"])
    with pytest.raises(BridgekitError, match="did you mean 'scale'"):
        alpha.parse(["scal=1"])
    with pytest.raises(BridgekitError, match="--set gives 'seed' twice"):
        alpha.parse(["seed=1", "scale=2", "seed=3"])


@pytest.mark.parametrize(
    ("page", "setting", "said"),
    [
        ("twin_gradients", "sigma=-1", "parameter 'sigma' is -1, out of its range: from 0.4, to 2.4"),
        ("twin_gradients", "sigma=.nan", "parameter 'sigma' is declared float, but got '.nan'"),
        ("stop_gradients", "seeds=0", "parameter 'seeds' is 0, out of its range: from 1"),
        ("twin_gradients", "map_points=1", "parameter 'map_points' is 1, out of its range: from 2"),
        ("activation", "images=0", "parameter 'images' is 0, out of its range: from 2"),
        ("unified", "frames=-1", "parameter 'frames' is -1, out of its range: from 2, to 91"),
        ("unified", "frames=1:30", "parameter 'frames' is declared int, but got '1:30'"),
        (
            "wrong_discriminator",
            "kappas=3",
            "parameter 'kappas' is 3, out of its range: from 4, multiple of 4",
        ),
        ("plane", "beta1s=[0.5, .inf]", "parameter 'beta1s' is declared list[float], but got [0.5, '.inf']"),
        ("plane", "zoo=[f-GAN]", "parameter 'zoo' is ['f-GAN'], out of its range: distinct, each one of"),
        ("scoreboard", "paper=D", "parameter 'paper' is 'D', out of its range: one of all | A | B | C"),
    ],
)
def test_our_pages_refuse_what_they_have_no_answer_for(monkeypatch, page, setting, said):
    monkeypatch.chdir(closure.PACKAGE.parent)
    with pytest.raises(BridgekitError, match=re.escape(said)):
        pages.find(page).parse([setting])


BAD = [
    (lambda: pages.resolve("alhpa"), "no page 'alhpa': did you mean 'alpha'"),
    (lambda: pages.resolve("alpha", "quik"), "no profile 'quik': did you mean 'quick'"),
    (
        lambda: pages.resolve("alpha", "quick", {"sed": 1}),
        "page 'alpha': there is no parameter 'sed': did you mean 'seed'",
    ),
    (
        lambda: pages.resolve("alpha", "quick", {"seed": 1.5}),
        "page 'alpha': parameter 'seed' is declared int",
    ),
]


@pytest.mark.parametrize(("act", "said"), BAD, ids=range(len(BAD)))
def test_unknown_and_ill_typed(toy_book, act, said):
    with pytest.raises(BridgekitError, match=re.escape(said)):
        act()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alhpa:\n  seed: 1\n", "settings for 'alhpa', which is no page: did you mean 'alpha'"),
        ("alpha:\n  sead: 1\n", "profiles/smoke.yaml: page 'alpha': there is no parameter 'sead'"),
        ("alpha:\n  seed: x\n", "profiles/smoke.yaml: page 'alpha': parameter 'seed' is declared int"),
        ("alpha: [\n", "profiles/smoke.yaml is not valid YAML"),
        ("alpha:\n  seed: 1\nbeta:\nalpha:\n  scale: 2\n", "the key 'alpha' is there twice"),
    ],
)
def test_profile_that_does_not_fit(toy_book, text, said):
    toy_book.write("profiles/smoke.yaml", text)
    with pytest.raises(BridgekitError, match=re.escape(said)):
        pages.resolve("alpha", "smoke")


SUPERSEDED = (
    CLAIM.replace("page: alpha", "page: gamma")
    + """\
  superseded:
    page: alpha
    criterion: {text: it held, parts: [{metric: product, above: 0}]}
"""
)


def test_key_follows_content_and_nothing_else(toy_book):
    (before, other) = (keys.key(page) for page in ("alpha", "beta"))
    os.utime(toy_book.root / "book" / "alpha.md")
    assert keys.key("alpha") == before
    changes = {
        "a page's source": lambda: toy_book.edit("book/alpha.md", "follows", "comes"),
        "a default": lambda: toy_book.edit("book/alpha.md", "seed: int = 3", "seed: int = 4"),
        "its claims": lambda: toy_book.write("claims.yml", CLAIM),
        "their criteria": lambda: toy_book.edit("claims.yml", "above: 1", "above: 2"),
        "its reference run": lambda: toy_book.write("figures/paper/alpha/record.json", "{}"),
        "its arrays": lambda: toy_book.write("figures/paper/alpha/a.npz", "0"),
        "its second run": lambda: toy_book.write("figures/repeated/alpha/record.json", "{}"),
        "what was said before": lambda: toy_book.write("figures/earlier/abcdef0.json", "[]"),
        "where it is superseded": lambda: toy_book.write("claims.yml", SUPERSEDED),
    }
    seen = {before}
    for what, change in changes.items():
        change()
        assert keys.key("alpha") not in seen, what
        seen.add(keys.key("alpha"))
        assert keys.key("beta") == other, what
    assert len({keys.key("alpha", profile) for profile in pages.profiles()}) == 3
    assert keys.key("alpha", "quick", {"seed": 9}) not in seen


def test_key_follows_the_library_that_is_imported(toy_repository, monkeypatch):
    monkeypatch.setattr(closure, "PACKAGE", toy_repository.root / "bridgekit")
    alpha, beta = keys.key("alpha"), keys.key("beta")
    toy_repository.append("bridgekit/book/runs.py", "# changed\n")  # which alpha imports
    assert keys.key("alpha") != alpha and keys.key("beta") == beta
    toy_repository.append("bridgekit/errors.py", "# changed\n")
    assert keys.key("beta") != beta


def test_key_of_a_page_with_an_error_in_it(toy_book):
    """A key is had all the same: the error shows where the page is run."""
    toy_book.edit("book/beta.md", "import json\n", "import json(\n")
    assert keys.key("beta")


def test_key_of_a_reference_run_is_not_its_own_result(toy_book):
    before = keys.key("alpha", "paper")
    toy_book.write("figures/paper/alpha/record.json", "{}")
    assert keys.key("alpha", "paper") == before


def test_page_that_reads_the_ledger(toy_book):
    toy_book.edit("book/beta.md", "from bridgekit import errors", "from bridgekit.book import claims")
    for profile, new in (("quick", True), ("paper", False)):
        before = keys.key("beta", profile)
        toy_book.write("claims.yml", CLAIM.replace("eq 1", f"eq 1, {profile}"))
        middle = keys.key("beta", profile)
        toy_book.write("figures/paper/alpha/record.json", json.dumps(profile))
        assert (middle != before) and ((keys.key("beta", profile) != middle) is new)
    before = keys.key("beta", "paper")
    toy_book.edit("book/alpha.md", "follows", "comes")  # what makes the record that it reads
    assert keys.key("beta", "paper") != before


@pytest.fixture
def torch_as_it_was():
    """`begin` sets torch's threads and switches for a whole process: put them back."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict, warn_only=warn)


def test_begin_reads_the_page_and_sets_torch(toy_book, torch_as_it_was, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    namespace = {"seed": 5, "scale": 4, "names": ["b"], "other": object()}
    run = runs.begin("alpha", namespace)
    assert run.parameters == {"seed": 5, "scale": 4.0, "names": ["b"]}
    assert type(namespace["scale"]) is float
    assert (run.page, run.profile, run.root) == ("alpha", "custom", toy_book.root)
    assert run.out == toy_book.root / "figures" / "custom" / "alpha"
    assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_begin_listens_to_what_it_is_told(toy_book, torch_as_it_was, monkeypatch, tmp_path):
    monkeypatch.setenv("BRIDGEKIT_THREADS", "2")
    tell(monkeypatch, tmp_path / "spec", out=tmp_path / "there", profile="smoke", role="repeated")
    run = runs.begin("beta", {"text": "x"})
    assert (run.out, run.profile, torch.get_num_threads()) == (tmp_path / "there", "smoke", 2)
    assert run.record()["role"] == "repeated"


def test_begin_sees_a_name_that_papermill_injected(toy_book, torch_as_it_was):
    """Papermill's own warning is one line of its log, and the page would run with its defaults."""
    namespace = {"seed": 3, "scale": 1.0, "names": [], "sed": 7, "In": ["", "# Parameters\nsed = 7\n"]}
    with pytest.raises(
        BridgekitError, match="page 'alpha': there is no parameter 'sed': did you mean 'seed'"
    ):
        runs.begin("alpha", namespace)
    namespace["In"] = ["", "# Parameters\nseed = 3\nPAPERMILL_INPUT_PATH = 'X.ipynb'\n", "sed = 7"]
    assert runs.begin("alpha", namespace).parameters == {"seed": 3, "scale": 1.0, "names": []}
    del namespace["seed"]
    with pytest.raises(BridgekitError, match="page 'alpha': the notebook lacks 'seed': make it"):
        runs.begin("alpha", namespace)


def test_begin_refuses(toy_book, torch_as_it_was, monkeypatch):
    with pytest.raises(BridgekitError, match="'seed' is declared int, but got 'x'"):
        runs.begin("alpha", {"seed": "x", "scale": 1.0, "names": []})
    for threads in ("many", "0", "²"):
        monkeypatch.setenv("BRIDGEKIT_THREADS", threads)
        with pytest.raises(BridgekitError, match="BRIDGEKIT_THREADS must be a whole number"):
            runs.begin("beta", {"text": "x"})


def everything(folder: Path) -> set[str]:
    """Names of all files under a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_run_puts_a_whole_result_in_place(toy_book, monkeypatch):
    monkeypatch.setenv("BRIDGEKIT_DATA", "somewhere")
    toy_book.edit("book/beta.md", "import json\n", "import json\nprint(1)  # data\n")
    toy_book.edit("book/beta.md", '{"text": text}', '{"text": text, "env": dict(os.environ)}')
    toy_book.write("figures/quick/beta/notes.txt", "mine")
    before, said = everything(toy_book.root), []
    notebook = make.run("beta", tell=said.append)
    assert notebook == toy_book.notebook("beta")
    after = everything(toy_book.root)
    assert after - before == {"_build/notebooks/quick/beta.ipynb", "figures/quick/beta/record.json"}
    assert not before - after
    made = keys.made(toy_book.root, "quick", "beta")
    own = {"page": "beta", "profile": "quick", "key": keys.key("beta")}
    assert made == own | {"dependencies": keys.dependencies("beta")}
    env = json.loads((toy_book.root / "figures/quick/beta/record.json").read_text())["env"]
    assert env["BRIDGEKIT_DATA"] == str(toy_book.root / "somewhere")
    assert env["OMP_NUM_THREADS"] == "1"
    assert {name for name in env if name.startswith("BRIDGEKIT_")} == {"BRIDGEKIT_DATA", "BRIDGEKIT_SPEC"}
    assert re.fullmatch(r"beta · quick · done in \d\d:\d\d\n", said[-1])


def test_run_to_a_folder_of_ones_own(toy_book, tmp_path):
    out = tmp_path / "mine" / "beta"
    assert make.run("beta", "smoke", out=out, tell=lambda text: None) == out / "beta.ipynb"
    assert everything(out.parent) == {"beta/beta.ipynb", "beta/record.json"}
    assert everything(toy_book.root / "_build") == set()
    shutil.rmtree(out)
    toy_book.write(f"{out}/letter.txt", "not a result")
    with pytest.raises(
        BridgekitError, match="holds letter.txt, which no run of page 'beta' has left.*Choose another"
    ):
        make.run("beta", out=out)
    assert everything(out.parent) == {"beta/letter.txt"}


def test_page_that_fails_changes_nothing_else(toy_book):
    toy_book.write("figures/quick/beta/record.json", "old")
    toy_book.edit(
        "book/beta.md",
        "(out /",
        "(out / 'half').write_text('x'); raise errors.BridgekitError('take two'); (out /",
    )
    before = everything(toy_book.root)
    with pytest.raises(
        BridgekitError, match=r"page 'beta': cell In \[3\], which begins `import json`, failed:"
    ):
        make.run("beta", tell=lambda text: None)
    failed = "_build/notebooks/quick/beta.failed.ipynb"
    assert everything(toy_book.root) - before == {failed}
    assert "take two" in (toy_book.root / failed).read_text()


def test_unwritable_folder_is_known_before_anything_runs(toy_book, monkeypatch):
    monkeypatch.setattr(pages.execution, "execute", lambda *args: pytest.fail("the page was executed"))
    toy_book.write("file", "not a folder")
    with pytest.raises(BridgekitError, match="cannot write results to .*is a file.*with --out"):
        make.run("beta", out=toy_book.root / "file" / "beta")
    folder = toy_book.root / "figures" / "quick" / "beta"
    folder.mkdir(parents=True)
    monkeypatch.setattr(placement.os, "access", lambda path, mode: path != folder)
    with pytest.raises(BridgekitError, match="is read-only"):
        make.run("beta")
    assert everything(toy_book.root / "figures" / "quick") == set()


WRONG_PROFILES = {
    b"beta: 3": "odd.yaml, beta: must hold lines `parameter: value`, not 3",
    b"- beta": "must hold pages with their parameters below",
    b"just text": "must hold pages with their parameters below",
    b"beta: {text: \xff}": "odd.yaml is not UTF-8 text",
}


@pytest.mark.parametrize("content", WRONG_PROFILES)
def test_a_profile_that_is_none(toy_book, content):
    (toy_book.root / "profiles" / "odd.yaml").write_bytes(content)
    with pytest.raises(BridgekitError, match=re.escape(WRONG_PROFILES[content])):
        pages.resolve("beta", "odd")


@pytest.mark.pipeline
def test_checkpoints_stay_until_the_result_is_in_place(toy_book, monkeypatch):
    kept = keys.checkpoints(toy_book.root, "quick", "beta", pages.resolve("beta"))
    kept.mkdir(parents=True)
    (kept / "state.pt").touch()

    def full(*_):
        raise BridgekitError("no space left")

    with monkeypatch.context() as patch, pytest.raises(BridgekitError, match="no space left"):
        patch.setattr(placement.Place, "put", full)
        make.run("beta")
    assert (kept / "state.pt").exists()
    make.run("beta")
    assert not kept.exists()


@pytest.mark.pipeline
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_no_kernel_and_no_half_result(toy_book, sign):
    pid = toy_book.root / "pid"
    toy_book.edit(
        "book/beta.md", "(out /", f"Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60); (out /"
    )
    toy_book.edit("book/beta.md", "import json\n", "import json\nimport time\n")
    before = everything(toy_book.root)
    process = subprocess.Popen(
        toy_book.command("bridgekit", "run", "beta"),
        cwd=toy_book.root,
        env=toy_book.environment(),
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and hands that on: not to the run under test.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(sign)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "\nbridgekit: interrupted; what stood in place before still does\n"
    assert everything(toy_book.root) - before == {"pid"}
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.pipeline
def test_pages_in_parallel(toy_book):
    """Kernels that start at the same moment do not race for ports."""
    texts = ["a", "b", "c"]
    threads = []
    for text in texts:
        arguments = ("bridgekit", "run", "beta", "--set", f"text={text}", "--out", text)
        threads.append(threading.Thread(target=toy_book.run, args=arguments))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [json.loads((toy_book.root / text / "record.json").read_text())["text"] for text in texts] == texts


@pytest.mark.pipeline
def test_plain_papermill(toy_book):
    """The README's way: jupytext, then papermill, from the root; results go to figures/custom."""
    toy_book.run("jupytext", "--to", "ipynb", "--output", "X.ipynb", "book/alpha.md", check=True)
    toy_book.run("papermill", "X.ipynb", "Y.ipynb", "-p", "seed", "5", "-p", "scale", "3", check=True)
    record = json.loads((toy_book.root / "figures/custom/alpha/record.json").read_text())
    assert record["metrics"]["product"]["values"] == [15.0] and record["profile"] == "custom"
    done = toy_book.run("papermill", "X.ipynb", "Z.ipynb", "-p", "sed", "7")
    assert done.returncode and "did you mean 'seed'?" in done.stderr
