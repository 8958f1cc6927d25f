"""What colours stand for, each by day and by night: all figures and pages take them from here."""

DAY = {
    "forward": "#0066b2",  # the likelihood's side
    "reverse": "#b04a00",  # the adversary's
    "bridge": "#6639b6",  # what joins them
    "data": "#c9ced6",
    "lost": "#b3261e",
    "ink": "#1c2128",
    "muted": "#57606a",
    "grid": "#d8dee4",
    "paper": "#ffffff",  # the page itself
}
NIGHT = {
    "forward": "#6cb6ff",
    "reverse": "#ffa657",
    "bridge": "#c297ff",
    "data": "#4a5260",
    "lost": "#ff8a80",
    "ink": "#e6edf3",
    "muted": "#a5adb8",
    "grid": "#343b45",
    "paper": "#121212",
}


def css() -> str:
    """The style sheet that gives each role its colour, ``var(--bk-bridge)``, by day and by night."""
    return f'html {{ {_block(DAY)} }}\nhtml[data-theme="dark"] {{ {_block(NIGHT)} }}\n'


def alone() -> str:
    """The day's colours for a figure outside the book, whose style sheet goes before them."""
    return f"<style>:where(:root) {{ {_block(DAY)} }}</style>"


def _block(colours: dict[str, str]) -> str:
    return " ".join(f"--bk-{role}: {colour};" for role, colour in colours.items())
