"""Mistakes by name for `make mutants`: (what, module, function, its text, what stands there instead).

Those of games stand in the tables of two test files, with the case whose check must refuse each. The tables
are read here, not imported: a process that has imported the library cannot import a mutant of it.
"""

import ast
from pathlib import Path

TABLES = {"test_game_mutants.py": "NAMED", "test_paper_b_games.py": "MISTAKES"}
LOOP = [
    (
        "losses logged as their mean over trials",
        "bridgekit.play.loop",
        "_settle",
        ".mean((0, 1))",
        ".mean((0, 1)).mean().expand(log.shape[-1])",
    ),
    (
        "the start generators missing from a checkpoint",
        "bridgekit.play.checkpoints",
        "_content",
        '"init": [g.get_state() for g in state.init],',
        "",
    ),
    (
        "the start generators not given back",
        "bridgekit.play.checkpoints",
        "_fill",
        '("init", "generators")',
        '("generators",)',
    ),
]
DECIDING = [  # by these the ledger would say the opposite
    ("a gain with its sign turned", "paired", "gain", "np.subtract(ours, over)", "np.subtract(over, ours)"),
    (
        "the largest setting first",
        "training",
        "trend",
        "gains[min(gains)], over=gains[max(gains)]",
        "gains[max(gains)], over=gains[min(gains)]",
    ),
    ("early evaluations for late ones", "training", "wobble", "> after", "<= after"),
    ("stable once is stable", "training", "stable", ".all(0)", ".any(0)"),
    ("the best later evaluation for the worst", "training", "deepest_fall", ".min(0)", ".max(0)"),
    ("nothing covered, all kept", "training", "share_kept", "curve[start], np.nan", "curve[start], np.inf"),
    ("the end of training for the asked evaluation", "training", "fall", "curve[end]", "curve[-1]"),
    ("a fall with its sign turned", "training", "fall", "curve[0] - curve[end]", "curve[end] - curve[0]"),
    ("drift since the start of training", "on_plane", "drift_since", "(start, -1)", "(0, -1)"),
    ("a mean that leaves lost settings out", "training", "over_settings", "np.mean(", "np.nanmean("),
    ("an evaluation chosen by what it is tested by", "training", "at_stop", "curves[by]", "curves[key]"),
    ("the worst setting for the best", "training", "best_setting", "max(known", "min(known"),
    ("the least error for the largest", "worst_case", "largest", ".max()", ".min()"),
    ("the noisier twin for the quieter", "estimators", "combination_gain", "torch.minimum", "torch.maximum"),
    ("the nearest point for the whole grid", "estimators", "root_mean_square", ".mean(1)", ".amin(1)"),
]


def of_games() -> list[tuple[str, str, str, str, str]]:
    """The rows of both tables."""
    found = []
    for file, table in TABLES.items():
        tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
        (rows,) = (
            node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == table
        )
        for what, (function, old, new, *_) in ast.literal_eval(rows).items():
            module, _, name = function.partition(".")
            found.append((what, f"bridgekit.games.{module}", name, old, new))
    return found


NAMED = [*of_games(), *LOOP]
NAMED += [(what, f"bridgekit.measure.{module}", *rest) for what, module, *rest in DECIDING]
