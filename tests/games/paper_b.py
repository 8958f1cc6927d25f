"""Paper B's games, composed from its lines."""

from __future__ import annotations

from games.harness import Case

CASES: dict[str, Case] = {}
