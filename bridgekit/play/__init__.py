"""What a game is, and the one loop that plays every game."""
