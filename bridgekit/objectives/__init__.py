"""One function per equation: tensors in, an unreduced tensor out; the game reduces."""
