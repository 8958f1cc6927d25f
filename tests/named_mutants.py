"""Mistakes by name, which unit tests once let pass: (what it is, module, text, what stands there instead)."""

NAMED: list[tuple[str, str, str, str]] = []
