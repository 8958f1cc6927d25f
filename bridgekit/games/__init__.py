"""One algorithm of one paper per function: networks + objectives +
optimisers = a game."""
