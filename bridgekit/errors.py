"""The one exception meant for a person to read."""


class BridgekitError(Exception):
    """Bad input or a missing thing: the message says what is wrong and names the way out.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """


class NoTrialLeft(BridgekitError):
    """Every trial of a game has become non-finite: there is nothing left to play."""
