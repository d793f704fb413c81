"""Datasets of vectors: the user's tables and annotated matrices, and synthetic cells."""
