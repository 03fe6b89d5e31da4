"""Other libraries with ours: each module imports its library when it is used, and is of no cost where it is not."""
