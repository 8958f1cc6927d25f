"""Committed records are read in today's names: no verdict moves, and no reference column is lost."""

import json

import pytest
from conftest import REPOSITORY
from test_claims import EXACTLY, entry, reference, write

from bridgekit.book import claims, criteria, pages, records
from bridgekit.book.renamed import NAMES, renamed, today
from bridgekit.book.verdicts import NOT_RUN, REPRODUCED

COMMITTED = [
    path
    for kind in ("paper", "repeated")
    for path in sorted(REPOSITORY.glob(f"figures/{kind}/*/record.json"))
]
PAGE = """---
kernelspec: {name: python3}
---
```{code-cell} ipython3
:tags: [parameters]
even_evaluations: int = 6  # from 1
```
"""


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_a_committed_record_is_read_in_todays_names(path):
    raw, read = json.loads(path.read_text(encoding="utf-8")), records.read_record(path)
    for part in ("parameters", "metrics"):
        assert not read[part].keys() & NAMES.keys()
        assert read[part] == {today(name): value for name, value in raw[part].items()}
        assert len(read[part]) == len(raw[part])
    sharing = [page for page in pages.executed().values() if read["page"] in (page.name, page.record)]
    assert read["parameters"].keys() <= {name for page in sharing for name in page.parameters}


def test_finished_cells_were_called_pieces():
    about = {"a": {"commit": "c0ffee", "dirty": True}}
    empty = {"parameters": {}, "metrics": {}}
    read = renamed(empty | {"provenance": {"commit": "beef", "pieces": about}})
    assert read["provenance"] == {"commit": "beef", "cells": about}
    assert renamed(empty | {"provenance": {"cells": about}})["provenance"] == {"cells": about}


def test_no_criterion_asks_for_a_name_in_the_table():
    """Criteria are hashed with their metrics' names."""
    asked = {name for claim in criteria.load(REPOSITORY) for part in claim.parts for name in part.metrics}
    assert asked and not asked & {*NAMES, *NAMES.values()}


@pytest.mark.parametrize(("ran", "verdict"), [(6, REPRODUCED), (7, NOT_RUN)])
def test_a_run_from_a_commit_with_the_old_name_decides(tmp_path, ran, verdict):
    """Like a run of `trials` that was begun before its parameter got another name."""
    for name, text in {"book/demo.md": PAGE, "profiles/paper.yaml": "{}"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    write(tmp_path, entry(EXACTLY))
    reference(tmp_path, parameters={"even_looks": ran}, fall=1.0)
    (found,) = claims.ledger(tmp_path)
    assert found.verdict == verdict
    assert verdict == REPRODUCED or "even_evaluations is 7, not 6" in found.reason
