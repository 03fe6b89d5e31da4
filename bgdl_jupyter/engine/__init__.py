"""Decides what runs and runs it, on whatever loop it is given; neither Jupyter nor traitlets."""
