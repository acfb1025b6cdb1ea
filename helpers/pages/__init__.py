"""Notebooks and the book: the one wing that knows that they exist."""
