"""Parameters and metrics that have another name now than in committed records.

A record keeps its bytes. Whoever reads one gets today's names: `records.read_record`, and the audit for the
records and pages of earlier commits. Criteria keep the names that were hashed; none of them is in the table.
"""

NAMES = {
    "even_looks": "even_evaluations",
    "image_last_look": "image_last_evaluation",
    "late_looks": "late_evaluations",
    "look_samples": "evaluation_samples",
    "looking_share": "evaluating_share",
    "looks": "evaluations",
}


def today(name: str) -> str:
    """What the parameter or metric ``name`` of a record is called now."""
    return NAMES.get(name, name)


def renamed(record: dict) -> dict:
    """The record with today's names of parameters and metrics, and the same values."""
    parts = ("parameters", "metrics")
    record = record | {part: {today(name): value for name, value in record[part].items()} for part in parts}
    if "pieces" in (made := record.get("provenance", {})):  # what finished cells were called
        record["provenance"] = {"cells" if name == "pieces" else name: value for name, value in made.items()}
    return record
