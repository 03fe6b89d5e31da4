"""Background downloads for Jupyter."""
