"""The command line: thin, and every bad input is one message and a status."""

import json
import subprocess

import pytest
from conftest import CLAIM

from bridgekit import closure
from bridgekit.__main__ import main
from bridgekit.book import records


def test_list(toy_book, capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert (
        "alpha: The first page\n  seed: int = 3  (paper 7)\n  scale: float = 2.0  (smoke 0.001)\n      of"
        in text
    )
    assert main(["list", "beta"]) == 0
    assert capsys.readouterr().out == "beta: The second page\n  text: str = 'x'\n"


def test_list_says_what_a_parameter_means_and_allows(toy_book, capsys):
    toy_book.edit("book/alpha.md", "seed: int = 3", "seed: int = 3  # from 0, below 9; of all randomness")
    assert main(["list"]) == 0
    said = "  seed: int = 3  (paper 7)\n      of all randomness\n      allowed: from 0, below 9\n  scale"
    assert said in capsys.readouterr().out


def test_list_without_a_page_is_an_error(toy_book, capsys):
    for page in ("alpha", "beta"):
        toy_book.edit(f"book/{page}.md", "kernelspec", "kernel")
    assert main(["list"]) == 2
    assert "names a kernel in its header" in capsys.readouterr().err


def test_claims(toy_book, capsys):
    toy_book.write("claims.yml", CLAIM)
    assert main(["claims"]) == 0
    assert capsys.readouterr().out.startswith("A1   not run         It holds. (no reference run of alpha")
    assert main(["claims", "--json"]) == 0
    (claim,) = json.loads(capsys.readouterr().out)
    assert (claim["id"], claim["verdict"]) == ("A1", "not run")


def test_run_with_a_value_set_by_hand_leaves_the_profile_alone(toy_book, capsys):
    assert main(["run", "beta", "--set", "text=a b"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{toy_book.notebook('beta', 'custom')}\n"
    assert said.err.startswith("beta · custom · done in ")
    assert json.loads((toy_book.root / "figures/custom/beta/record.json").read_text()) == {"text": "a b"}
    assert not toy_book.notebook("beta").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cite", "alhpa"], "there is no page 'alhpa': did you mean 'alpha'?"),
        (["run", "alhpa"], "there is no page 'alhpa': did you mean 'alpha'?"),
        (["run", "alpha", "--profile", "papr"], "there is no profile 'papr': did you mean 'paper'?"),
        (["run", "alpha", "--set", "sed=1"], "page 'alpha': there is no parameter 'sed': did you mean"),
        (
            ["run", "alpha", "--set", "seed=x"],
            "page 'alpha': parameter 'seed' is declared int, but got 'x'",
        ),
        (
            ["run", "beta", "--set", "text=\udcff"],
            "page 'beta': parameter 'text' is '\\udcff', out of its range",
        ),
        (["claims"], "the claims ledger"),
        (["claims", "--audit", "--json"], "the audit has no --json"),
    ],
)
def test_bad_input_is_one_message(toy_book, capsys, arguments, said):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"bridgekit: {said}")
    assert len(err.splitlines()) == 1


def test_interrupt(toy_book, capsys, monkeypatch):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("bridgekit.book.make.run", stop)
    assert main(["run", "beta"]) == 130
    assert capsys.readouterr().err == "\nbridgekit: interrupted; what stood in place before still does\n"


def test_reader_that_stops_reading(toy_book):
    command = " ".join(toy_book.command("bridgekit", "list"))
    env = toy_book.environment()
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command} | true"], env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_command(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2 and "usage: bridgekit" in capsys.readouterr().err


def findings(capsys) -> dict[str, str]:
    """What `bridgekit doctor` prints."""
    assert main(["doctor"]) == 0
    return {line[:23].strip(): line[24:] for line in capsys.readouterr().out.splitlines()}


def test_doctor(toy_book, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BRIDGEKIT_DATA", str(tmp_path / "data"))
    found = findings(capsys)
    assert found["mnist"] == "absent"
    assert found["devices"].startswith("cpu")
    assert found["data root"].startswith(str(tmp_path / "data"))
    assert records.version("no-such-package") is None


def test_doctor_and_the_gpu(toy_book, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    for gpus, said in ((0, "cpu"), (2, "cpu, GPU 0, GPU 1")):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
        found = findings(capsys)
        assert found["devices"] == said and found["torch"].endswith("built for 13.2")


def test_outside_a_repository_the_package_knows_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    assert capsys.readouterr().out
    monkeypatch.setattr(closure, "PACKAGE", tmp_path)
    assert main(["list"]) == 2
    assert "with profiles/ beside it in this folder or one above it: go to the" in capsys.readouterr().err
