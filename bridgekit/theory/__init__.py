"""Densities, divergences, and one function per equation: tensors in, an
unreduced tensor out."""
