"""The part of a downloader that takes manifests: many operations of this process, or shards for a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.manifests.source import source_of
from bgdl_jupyter.model.creation import Creation
from bgdl_jupyter.model.draft import check_group_name
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.intake import Intake, limits_of
from bgdl_jupyter.status import CreationCollisionOption

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from bgdl_jupyter.model.draft import Drafting
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.options import CommonOptions
    from bgdl_jupyter.model.runner import Runner


class TakesManifests:
    """The part of a downloader that takes manifests."""

    if TYPE_CHECKING:

        @property
        def _runner(self) -> Runner: ...

        def _application(self) -> str: ...

        def _drafting(self, options: Mapping[str, Any]) -> Drafting: ...

        def _defaults(self) -> dict[str, Any]: ...

        def _creation(self, *, is_alone: bool = False) -> AbstractContextManager[Creation]: ...

        def restore(self) -> list[DownloadOperation]: ...  # noqa: D102 (the downloader says it)

        def create_group(self, name: str) -> BackgroundTransferGroup: ...  # noqa: D102 (as above)

    def download_many(
        self,
        manifest: object,
        directory: str | os.PathLike[str] | None = None,
        *,
        group: str | BackgroundTransferGroup,
        base_uri: str | None = None,
        format: str | None = None,  # noqa: A002 (what pandas and pyarrow call it, too)
        skip_invalid: bool = False,
        allow_hidden: bool = False,
        cluster: object | None = None,
        worker_secrets: Mapping[str, str] | None = None,
        shard_files: int | None = None,
        **options: Unpack[CommonOptions],
    ) -> BackgroundTransferGroup:
        """
        Create and start many operations as one group, and return it; meant to be run again.

        Parameters
        ----------
        manifest:
            The path of a file, or an open file: CSV, JSON lines, Parquet, an aria2 input file or a list of URIs,
            Metalink 4, a pooch registry. A pandas data frame. Or an iterable of URIs, or of mappings with ``uri`` and
            what else `create_download` takes (``destination`` for the file).
        directory:
            The folder of the files; None for the working folder. Destinations in files and data frames are relative
            to it and stay inside; those of mappings in code may be any path unless this is given.
        group:
            The group, or its name; a line may name another.
        base_uri:
            Where the files of a pooch registry are.
        format:
            ``aria2``, ``csv``, ``jsonl``, ``metalink``, ``parquet`` or ``pooch``; None to tell it from the file.
        skip_invalid:
            Leave out the lines that cannot be used, with a warning, instead of raising.
        allow_hidden:
            Let a file or a data frame name destinations that begin with a dot.
        cluster:
            Who fetches instead of this process: a `dask.distributed.Client`, a cluster, its address, or ``"local"`` for
            processes of this machine. ``directory`` is a folder that all of them share, or the URL of one in a store.
        worker_secrets:
            What the workers of a cluster add by themselves, by reference: ``{"header Authorization": "Bearer
            {env:TOKEN}"}``; ``user``, ``password`` and ``storage NAME`` likewise, from ``{env:NAME}``, ``{file:PATH}``
            or ``{keyring:SERVICE/NAME}`` of the worker.
        shard_files:
            How many files make a shard, which one worker fetches; None to choose by their number.
        options:
            For all of them, as for `create_download`; a file makes limits stricter, never looser.

        Raises
        ------
        InvalidManifest
            Lines cannot be used, or two of them ask for the same; the error lists them, and nothing was started.
        """
        self.restore()
        reading = {"directory": directory, "base_uri": base_uri, "format": format, "allow_hidden": allow_hidden}
        if cluster is not None:
            return host().clusters.download_many(
                self,
                manifest,
                group=check_group_name(getattr(group, "name", group)),
                cluster=cluster,
                worker_secrets=worker_secrets or {},
                shard_files=shard_files,
                skips_invalid=skip_invalid,
                reading=reading,
                options=options,
            )
        if worker_secrets or shard_files:
            raise InvalidRequest("worker_secrets and shard_files are for a cluster; say which with cluster=.")
        return self._take_in(manifest, reading, skips_invalid=skip_invalid, group=group, options=options)

    def _take_in(
        self,
        manifest: object,
        reading: Mapping[str, Any],
        *,
        skips_invalid: bool,
        group: Any,
        options: Mapping[str, Any],
    ) -> BackgroundTransferGroup:
        name = check_group_name(getattr(group, "name", group))
        given = {**options, "group": name}
        intake = self._intake(manifest, reading, skips_invalid=skips_invalid, given=given)
        intake.check()
        with self._creation(is_alone=True) as creation:
            creation.create_many(intake.drafts())
        return self.create_group(name)

    def _intake(
        self, manifest: object, reading: Mapping[str, Any], *, skips_invalid: bool, given: Mapping[str, Any]
    ) -> Intake:
        """Return what checks the lines of a manifest; ``reading`` is how it is read, ``given`` the options."""
        options = {"collision": CreationCollisionOption.OPEN_IF_EXISTS, **given}
        directory = reading["directory"]
        source = source_of(manifest, format=reading["format"], base_uri=reading["base_uri"], schemes=known_schemes())
        is_fenced = source.is_foreign or directory is not None
        return Intake(
            source,
            self._drafting,
            check_draft=Creation(self._runner, self._application()).check_existing,
            options=options,
            limits=limits_of(options, self._defaults()),
            directory=(directory or ".") if is_fenced else None,
            allows_hidden=reading["allow_hidden"],
            skips_invalid=skips_invalid,
        )
