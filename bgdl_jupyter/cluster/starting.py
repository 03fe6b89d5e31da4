"""From a manifest to a group that a cluster fetches; what the model loads when a cluster is named first."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.cluster.connection import connect
from bgdl_jupyter.cluster.folder import Folder
from bgdl_jupyter.cluster.group import ClusterGroup
from bgdl_jupyter.cluster.ledger import PLACE, Ledger
from bgdl_jupyter.cluster.references import Sealed, check_references, looked_up
from bgdl_jupyter.cluster.taking_in import TakingIn
from bgdl_jupyter.cluster.ticket import RUN
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.credentials import OperationSecrets
from bgdl_jupyter.model.downloader_settings import COPIED
from bgdl_jupyter.model.draft import put_header
from bgdl_jupyter.model.option_checks import absolute_path
from bgdl_jupyter.model.stores import is_store, local_path
from bgdl_jupyter.storage.filenames import safe_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bgdl_jupyter.cluster.connection import Connection
    from bgdl_jupyter.cluster.ledger import Job
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.runner import Runner

# What belongs to one process, or to one file.
_NOT_FOR_WORKERS: Final = ("application", "checksum", "method", "request_body_file", "sha256", "ssl_context")
_OF_WORKERS: Final = ("collision", "cost_policy", "priority")


def download_many(
    downloader: BackgroundDownloader,
    manifest: object,
    *,
    group: str,
    cluster: object,
    worker_secrets: Mapping[str, str],
    shard_files: int | None,
    skips_invalid: bool,
    reading: Mapping[str, Any],
    options: Mapping[str, Any],
) -> ClusterGroup:
    """
    Have a cluster fetch a manifest, and return its group; a job that was begun goes on.

    Parameters and errors as `BackgroundDownloader.download_many`.
    """
    if not group:
        raise InvalidRequest("A group needs a name.")
    if shard_files is not None and shard_files < 1:
        raise InvalidRequest(f"shard_files is a number above 0, not {shard_files}.")
    references = check_references(worker_secrets)
    plain, secrets = _parted(downloader, options)
    directory = _directory(reading.get("directory"))
    runner = downloader._runner  # noqa: SLF001 (the one runner that the model has)
    connection = connect(cluster)
    try:
        _refuse_clear_text(secrets, connection)
        sealed = Sealed(secrets) if secrets else None
        ledger = ledger_at(f"{directory}/{PLACE}/{_slug(group)}", references, sealed)
        intake = downloader._intake(  # noqa: SLF001 (as above)
            manifest,
            {**reading, "directory": reading.get("directory") or "."},
            skips_invalid=skips_invalid,
            given={**options, "group": group},
        )
        job = _cut(TakingIn(intake, skips_invalid=skips_invalid), ledger, connection, shard_files)
        record = {
            "ledger": ledger.folder.url,
            "directory": directory,
            "job_id": job.job_id,
            "max_per_host": min(downloader.max_parallel_per_host, downloader.max_connections_per_host),
            "max_rate": downloader.max_rate,
            "settings": _settings(downloader),
            "options": plain,
            "references": references,
            "sealed": ", ".join(sorted(secrets)),
            "cluster": "",
            "order": RUN,
        }
        found = _group(runner, downloader._application(), group, record)  # noqa: SLF001 (as above)
    except BaseException:
        connection.close()
        raise
    found.begin(connection, cluster, sealed)
    return found


def _refuse_clear_text(secrets: Mapping[str, str], connection: Connection) -> None:
    if secrets and not connection.is_private:
        raise InvalidRequest(
            f"What is secret ({', '.join(sorted(secrets))}) would go to the workers over {connection.address}, "
            "which is not encrypted.",
            hint="Use a scheduler at tls://…, or name with worker_secrets= where the workers find it.",
        )


def revive(runner: Runner, values: dict[str, Any]) -> ClusterGroup:
    """Return the group that an earlier kernel had; it goes on by itself where its cluster can be found."""
    group = ClusterGroup(runner, **values)
    group.revive()
    return group


def ledger_at(url: str, references: Mapping[str, str], sealed: Sealed | None) -> Ledger:
    """Return a ledger; how its store is opened is looked up here, too."""
    names = {name: text for name, text in references.items() if name.startswith("storage ")}
    secrets = looked_up(names) | (sealed.secrets() if sealed is not None else {})
    storage = {
        name.removeprefix("storage "): secret.reveal()
        for name, secret in secrets.items()
        if name.startswith("storage ")
    }
    return Ledger(Folder(url, storage))


def _cut(taking_in: TakingIn, ledger: Ledger, connection: Connection, shard_files: int | None) -> Job:
    """Return the job that is in the ledger already, if it is of this manifest; or cut it."""
    checked = taking_in.check()
    job = ledger.job()
    if job is None:
        return taking_in.cut_into(ledger, checked, slots=connection.slots(), shard_files=shard_files)
    if job.fingerprint != checked.fingerprint:
        raise InvalidRequest(
            f"{ledger.folder.url!r} belongs to another manifest of this group.",
            hint="Name another group; or remove that folder, and what was done counts no longer.",
        )
    return job


def _group(runner: Runner, application: str, name: str, record: dict[str, Any]) -> ClusterGroup:
    """Return the group of this job: the one that there is, or a new one in the place of one that has nothing."""
    from bgdl_jupyter.model.restoring import group_of

    known = group_of(runner, application, name)
    if isinstance(known, ClusterGroup):
        kept = {key: known.job[key] for key in ("announced",) if key in known.job}
        runner.place.call(known.set_trait, "job", {**record, **kept})
        return known
    if known.operations:
        raise InvalidRequest(f"The group {name!r} has downloads of this notebook.", hint="Name another group.")
    group = ClusterGroup(runner, name=name, application=application, job=record)
    runner.place.call(runner.registry.put_group, group)
    return group


def _slug(group: str) -> str:
    """Return the name of a group's folder: two groups never share one."""
    digest = hashlib.blake2b(group.encode(), digest_size=4).hexdigest()
    return f"{safe_name(group, fallback='group')[:80]}-{digest}"


def _directory(given: object) -> str:
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else "."
    return text.rstrip("/") if is_store(text) else absolute_path(os.fspath(local_path(text)))


def _settings(downloader: BackgroundDownloader) -> dict[str, Any]:
    settings = {name: getattr(downloader, name) for name in COPIED}
    settings |= {"proxy": downloader.proxy, "method": downloader.method}
    return {name: value for name, value in settings.items() if value != downloader.traits()[name].default_value}


def _parted(downloader: BackgroundDownloader, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return what workers may be told by anybody, and what is secret, by name.

    Raises
    ------
    InvalidRequest
        Something cannot leave this process.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in _NOT_FOR_WORKERS:
        if name in given:
            raise InvalidRequest(f"{name} is not for a cluster.", hint="Lines of a manifest may have checksums.")
    provider: object = downloader.credential_provider
    if provider is not None or downloader.ssl_context is not None:
        raise InvalidRequest(
            "A credential_provider or an ssl_context cannot leave this process.",
            hint="Use worker_secrets=, and ca_file with a path that the workers have.",
        )
    headers: dict[str, str] = {}
    kept = OperationSecrets()
    for name, value in {**downloader._plain_headers, **(given.pop("headers", None) or {})}.items():  # noqa: SLF001 (they are to be sent)
        put_header(headers, kept, name, value, secret=None)
    secrets = {
        f"header {name}": value.reveal()
        for name, value in {**downloader._secrets.headers, **kept.headers}.items()  # noqa: SLF001 (as above)
    }
    secrets |= {f"storage {name}": str(value) for name, value in (given.pop("storage_options", None) or {}).items()}
    for trait, prefix in (("server_credential", ""), ("proxy_credential", "proxy ")):
        credential = getattr(downloader, trait)
        if credential is not None:
            secrets |= {
                f"{prefix}user": credential.user_name,
                f"{prefix}password": credential.credential.password.reveal(),
            }
    plain = {
        name: int(value) if name in _OF_WORKERS and not isinstance(value, str) else value
        for name, value in given.items()
    }
    if headers:
        plain["headers"] = headers
    try:
        json.dumps(plain)
    except (TypeError, ValueError):
        raise InvalidRequest("An option cannot be sent to workers; texts, numbers and mappings can.") from None
    return plain, secrets
