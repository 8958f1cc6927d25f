"""bridgekit: maximum likelihood and adversarial learning, one thing seen from two ends.

An equation is an objective (``bridgekit.theory``), an algorithm is a game (``bridgekit.games``), one
loop plays every game (``bridgekit.play.loop.fit``), and a page of the book plays games and draws one figure.
"""

__version__ = "0.1.0"
