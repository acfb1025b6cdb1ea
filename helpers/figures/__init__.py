"""Figures and interactive pages. They draw finished numbers, and compute nothing but where to put them."""
