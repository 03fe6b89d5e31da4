"""
What manifests say: from files and tables to entries, one at a time, with the lines that they stand in.

Pure reading: nothing is looked up, fetched or created here. One module for each format; `source` finds out which it is.
"""
