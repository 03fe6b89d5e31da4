"""
Manifests over a cluster that exists: `dask.distributed` hands out shards, the same engine fetches each in a worker.

::

    starting     download_many(cluster=…): from a manifest to a group that runs
    taking_in    lines of a manifest, checked and named; what two of them have in common (duplicates)
    shards       cutting lines by host and size; allotments: a host's limit divided over the shards that run (both pure)
    ledger       what is durable beside the data: shards, result tables, done markers (folder: how that is written)
    coordinator  hands out shards and counts what comes back, on a thread of the notebook (connection: to the cluster)
    group        the group that a notebook holds in its hands
    worker       one shard in a worker process (scratch: its own downloader and state file; ticket: what it is told)
    references   what workers add by reference
    cost         what 10^8 files cost, as a model

The truth is in the ledger. A shard is done when its marker is there; everything else may die at any moment.
"""
