"""Datasets of vectors, which are the user's tables and annotated matrices, and synthetic cells."""
