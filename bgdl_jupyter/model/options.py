"""What a download takes by keyword, with types: `create_download`, `download`, `download_many` and `%bgdl`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import os
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.status import BackgroundTransferCostPolicy, BackgroundTransferPriority, CreationCollisionOption


class CommonOptions(TypedDict, total=False):
    """
    The options of one download or of many; what is left out is as the downloader says. None counts as left out.

    Parameters
    ----------
    collision:
        What to do when the destination exists: a `CreationCollisionOption`, its name or its number.
    sha256, checksum:
        The digest that the file must have: in hexadecimal, or as ``algorithm:hexadecimal``. One of the two.
    checksum_file:
        A file that names the digest, such as ``SHA256SUMS``: a path, read at once, or a URI, fetched before the
        transfer. Not beside a checksum; in a manifest the checksum of a line comes first.
    headers:
        Request headers, for the origin of the URI only; secrets are told by their names.
    method:
        GET, POST, PUT or PATCH; RETR is GET.
    request_body_file:
        The file that is sent; without ``method`` the request is a POST.
    priority, cost_policy:
        Its place in the queue, and which networks it may use: a member, its name or its number.
    expect_type:
        Refuse what is of another media type: ``text/csv``, ``image/*``.
    max_size:
        Refuse what has more bytes.
    sensitive_query:
        Keep the whole query of the URI secret, whatever its parameters are called.
    ca_file, ssl_context:
        Whom to trust over TLS: a PEM file of authorities beside the system's, or a context, which dies with the kernel.
    storage_options:
        What fsspec is told of the store that the destination is in; kept in the vault.
    unpack:
        True to unpack the archive when it is there, into a folder beside it; or the folder to unpack into.
    post_process:
        A function that is called on a thread with the path of what is there then, or its name as
        ``"package.module:function"``; only what has a name survives a restart of the kernel.
    application:
        Whose download it is, in the place of this notebook's.
    """

    application: str | None
    ca_file: str | os.PathLike[str] | None
    checksum: str | None
    checksum_file: str | os.PathLike[str] | None
    collision: CreationCollisionOption | str | int | None
    cost_policy: BackgroundTransferCostPolicy | str | int | None
    expect_type: str | None
    headers: Mapping[str, str] | None
    max_size: int | None
    method: str | None
    post_process: Callable[..., Any] | str | None
    priority: BackgroundTransferPriority | str | int | None
    request_body_file: str | os.PathLike[str] | None
    sensitive_query: bool
    sha256: str | None
    ssl_context: ssl.SSLContext | None
    storage_options: Mapping[str, Any] | None
    unpack: bool | str | os.PathLike[str] | None


class DownloadOptions(CommonOptions, total=False):
    """
    The options of one download: the `CommonOptions`, its group, and where else the file is.

    Parameters
    ----------
    group:
        The group, or its name.
    mirrors:
        URIs of the same bytes. Each is asked when those before it have failed for good, and goes on with the bytes that
        are there under the same digest, or the same strong validator. Headers and credentials go to the origin of the
        first URI only.
    """

    group: str | BackgroundTransferGroup | None
    mirrors: Sequence[str] | None


class ManifestOptions(CommonOptions, total=False):
    """
    The options of a manifest: the `CommonOptions`, for all its lines, and how it is read.

    Parameters
    ----------
    base_uri:
        Where the files of a pooch registry are.
    format:
        ``aria2``, ``csv``, ``jsonl``, ``metalink``, ``parquet`` or ``pooch``; None to tell it from the file.
    skip_invalid:
        Leave out the lines that cannot be used, with a warning, instead of raising.
    allow_hidden:
        Let a file or a data frame name destinations that begin with a dot, which shells and kernels may run unasked.
    cluster:
        Who fetches instead of this process: a client of Dask's, a cluster, its address, or ``"local"``.
    worker_secrets:
        What the workers of a cluster add by reference, such as ``{"header Authorization": "Bearer {env:TOKEN}"}``.
    shard_files:
        How many files make a shard of a cluster; None to choose by their number.
    """

    base_uri: str | None
    format: str | None
    skip_invalid: bool
    allow_hidden: bool
    cluster: object | None
    worker_secrets: Mapping[str, str] | None
    shard_files: int | None
