"""Downloads that were asked for, each checked as a whole before anything is written."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.checksum_files import checksum_from
from bgdl_jupyter.model.credentials import OperationSecrets, PasswordCredential
from bgdl_jupyter.model.headers import check_header
from bgdl_jupyter.model.option_checks import (
    absolute_path,
    body_path,
    ca_path,
    check_settings,
    checksum_of,
    member_of,
    method_of,
    refuse_clear_text,
    ssl_context_of,
)
from bgdl_jupyter.model.options import DownloadOptions
from bgdl_jupyter.model.post_processing_plan import KEPT_AS, plan_of
from bgdl_jupyter.model.stores import Location, is_store, local_path, locate
from bgdl_jupyter.secret import Credential, Secret, is_secret_header
from bgdl_jupyter.status import BackgroundTransferCostPolicy, BackgroundTransferPriority, CreationCollisionOption
from bgdl_jupyter.storage.destinations import Destinations
from bgdl_jupyter.storage.spool import digest_of_body
from bgdl_jupyter.uris import identity, origin_of, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bgdl_jupyter.uris import SplitUri

#: What `create_download`, `download`, `download_many` and `%bgdl` take by keyword.
OPTION_NAMES: Final = frozenset(DownloadOptions.__annotations__)
_MOST_MIRRORS: Final = 100
_IDS_AT_ONCE: Final = 16


class Draft(NamedTuple):
    """
    What will become an operation: a tuple, since a hundred thousand are made at once.

    ``uri`` is what to ask for, ``shown`` what may be shown of it, ``identity`` under what the same request is
    recognised, ``checksum`` empty where none is known; ``common`` are the values of traits that it has in common with
    others, one mapping for all of them; its secrets are apart. ``destination_key`` is that of ``result_file``, which
    ``is_there`` when something has its name; ``directory`` is one object for all files in it. ``post_process`` is what
    is called with the file, where it has no name.
    """

    uri: str
    shown: str
    identity: str
    result_file: str | None
    directory: Path
    common: Mapping[str, Any]
    group: str
    application: str | None
    operation_id: UUID
    destination_key: str | None = None
    is_there: bool = False
    checksum: str = ""
    location: Location | None = None
    secrets: OperationSecrets | None = None
    post_process: Callable[..., Any] | None = None

    @property
    def plan(self) -> dict[str, Any] | None:
        """What is to follow the file, as it is kept; None for nothing."""
        found: dict[str, Any] | None = self.common["options"].get(KEPT_AS)
        return found

    @property
    def path(self) -> Path | None:
        """The destination; None where the server is to name the file."""
        return None if self.result_file is None else Path(self.result_file)

    @property
    def collision(self) -> CreationCollisionOption:
        """What to do when the destination exists."""
        collision: CreationCollisionOption = self.common["collision"]
        return collision


class Drafting:
    """
    Checks everything about downloads that can be checked without the server.

    For downloads that have all in common but their URIs, destinations and checksums.

    Parameters
    ----------
    defaults, headers, secrets:
        The downloader's settings; ``headers`` and ``secrets`` are copied.
    options:
        What the caller gave by keyword.
    identity_key:
        That of the state file.

    Raises
    ------
    TypeError
        There is no such option; the message names the nearest.
    InvalidRequest
        A value is unusable; nothing was written.
    """

    def __init__(
        self,
        *,
        defaults: Mapping[str, Any],
        headers: Mapping[str, str | Secret],
        secrets: OperationSecrets,
        options: Mapping[str, Any],
        identity_key: bytes,
    ) -> None:
        refuse_unknown(options)
        self._defaults = defaults
        self._options = options
        self._schemes = known_schemes()
        given = ssl_context_of(options.get("ssl_context") or secrets.ssl_context)
        self._secrets = replace(
            secrets,
            headers=dict(secrets.headers),
            mirrors={},
            ssl_context=given,
            query=None,
            user_info=None,
            storage=None,
        )
        self._mirrors = _mirrors(options, self._secrets, defaults["options"])
        self._plain = {name: value for name, value in headers.items() if isinstance(value, str)}
        _add_headers(options.get("headers") or {}, self._plain, self._secrets)
        self._has_secrets = bool(self._secrets.names)
        self._settings = self._checked_settings()
        self._checksum = checksum_of(options)
        self._application = options.get("application")
        group = options.get("group")
        self._group = check_group_name(defaults["group"] if group is None else getattr(group, "name", group))
        self._identity_key = identity_key
        self._ids = _random_ids()
        self._folders = Destinations()
        self._working_folder = ""
        self._directories: dict[str, Path] = {}
        self._common: dict[tuple[object, ...], dict[str, Any]] = {}

    def _checked_settings(self) -> dict[str, Any]:
        options = self._options
        self._body_digest = ""
        names = ("ca_file", "expect_type", "max_size")
        settings = {
            **self._defaults["options"],
            **{name: options[name] for name in names if options.get(name) is not None},
        }
        if options.get("request_body_file") is not None:
            settings["request_body_file"] = body_path(options["request_body_file"])
            self._body_digest = digest_of_body(Path(settings["request_body_file"]))
        if settings.get("ca_file"):
            settings["ca_file"] = ca_path(settings["ca_file"])
        check_settings(settings)
        plan, self.post_process = plan_of(options, self._defaults["unpack_limits"])
        if plan is not None:
            settings[KEPT_AS] = plan.to_record()
        self._unpacks = plan is not None and plan.unpacks
        return settings

    def draft(
        self,
        uri: str,
        result_file: str | os.PathLike[str] | None,
        *,
        may_be_folder: bool = True,
        checksum: str | None = None,
    ) -> Draft:
        """
        Return one of them.

        Parameters
        ----------
        uri, result_file:
            As `BackgroundDownloader.create_download`; ``result_file`` may be a folder that exists, or None for the
            working folder, and then the server names the file; or the URL of a place in a store.
        may_be_folder:
            Whether ``result_file`` may be a folder for a file that the server names.
        checksum:
            Its own, checked; None for that of the options.

        Raises
        ------
        InvalidRequest
            The URI or the destination cannot be used; nothing was written.
        """
        split = split_uri(uri, self._schemes, sensitive_query=bool(self._options.get("sensitive_query")))
        location = _location(result_file, self._options, may_be_folder=may_be_folder)
        if location is not None and self._unpacks:
            raise InvalidRequest("What is in a store is not unpacked there; download it to a folder, and unpack it.")
        path, directory, is_there = None, "", False
        if location is not None:
            directory = str(self._defaults["staging"])
        else:
            path, directory, is_there = self._destination(local_path(result_file), may_be_folder=may_be_folder)
        secrets = self._secrets_of(split, location)
        names = () if secrets is None else tuple(secrets.names)
        origin = origin_of(split.public)
        source = None
        if checksum is None:
            checksum = self._checksum
        if self._options.get("checksum_file") is not None:
            place = Path(path) if path is not None else None
            checksum, source = checksum_from(self._options["checksum_file"], split.public, place)
        if secrets is not None:
            refuse_clear_text(origin, secrets, self._settings)
        store_url = "" if location is None else location.url
        common = self._values(names, origin.scheme, store_url=store_url, source=source)
        full = split.full
        return Draft(
            uri=full,
            shown=split.public,
            identity=identity(self._identity_key, full, method=common["method"], body_digest=self._body_digest),
            result_file=path,
            directory=self._directories.get(directory) or self._directories.setdefault(directory, Path(directory)),
            destination_key=None if path is None else self._folders.key(path),
            is_there=is_there,
            operation_id=next(self._ids),
            common=common,
            group=self._group,
            application=self._application,
            checksum=checksum,
            location=location,
            secrets=secrets,
            post_process=self.post_process,
        )

    def _secrets_of(self, split: SplitUri, location: Location | None) -> OperationSecrets | None:
        shared = self._secrets
        storage = location.storage if location is not None else None
        if split.query is None and split.user_info is None and storage is None and not self._has_secrets:
            return None
        return replace(
            shared,
            query=split.query,
            user_info=split.user_info,
            headers=dict(shared.headers),
            mirrors=dict(shared.mirrors),
            storage=storage,
        )

    def _values(
        self, secret_names: tuple[str, ...], scheme: str, *, store_url: str, source: str | None
    ) -> dict[str, Any]:
        """Return the values of traits that all have which are alike in these."""
        key = secret_names, scheme, store_url, source
        if key not in self._common:
            options, defaults = self._options, self._defaults
            self._common[key] = {
                "mirrors": self._mirrors,
                "store_url": store_url,
                "method": method_of(options, defaults, scheme=scheme),
                "collision": member_of(CreationCollisionOption, options, "collision", defaults),
                "priority": member_of(BackgroundTransferPriority, options, "priority", defaults),
                "cost_policy": member_of(BackgroundTransferCostPolicy, options, "cost_policy", defaults),
                "proxy": defaults["proxy"],
                "options": self._settings if source is None else {**self._settings, "checksum_file": source},
                "plain_headers": self._plain,
                "secret_names": list(secret_names),
            }
        return self._common[key]

    def _destination(
        self, result_file: str | os.PathLike[str] | None, *, may_be_folder: bool
    ) -> tuple[str | None, str, bool]:
        """Return the path of the file, None where the server names it, its folder, and whether the path is taken."""
        if result_file is None:
            self._working_folder = self._working_folder or str(Path.cwd())
            self._folders.check_folder(self._working_folder)
            return None, self._working_folder, False
        if not isinstance(result_file, str | os.PathLike):
            raise InvalidRequest(f"A destination is a path, not {type(result_file).__name__}.")
        given = os.fspath(result_file)
        if not given:
            raise InvalidRequest("The destination is empty; give a file, a folder, or None.")
        path = absolute_path(given)
        occupant = "folder" if given.endswith(("/", os.sep)) else self._folders.check(path)
        if occupant != "folder":
            return path, os.path.dirname(path), bool(occupant)  # noqa: PTH120 (a hundred thousand at once)
        if not may_be_folder:
            raise InvalidRequest(f"{path!r} is a folder; name a file in it, or use download(), which takes folders.")
        self._folders.check_folder(path)
        return None, path, False


def _random_ids() -> Iterator[UUID]:
    """Yield random names without end (RFC 9562 5.4); the system is asked for many at once."""
    while True:
        octets = os.urandom(_IDS_AT_ONCE * 16)
        for start in range(0, len(octets), 16):
            yield UUID(bytes=octets[start : start + 16], version=4)


def _mirrors(options: Mapping[str, Any], secrets: OperationSecrets, settings: Mapping[str, Any]) -> list[str]:
    """Return what may be shown of the mirrors, their secrets put apart."""
    given, is_sensitive = options.get("mirrors") or (), bool(options.get("sensitive_query"))
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InvalidRequest(f"mirrors is a list of URIs, not {type(given).__name__}.")
    if len(given) > _MOST_MIRRORS:
        raise InvalidRequest(f"There are {len(given):,} mirrors; at most {_MOST_MIRRORS} are taken.")
    splits = [split_uri(each, known_schemes(), sensitive_query=is_sensitive) for each in given]
    for place, split in enumerate(splits):
        refuse_clear_text(origin_of(split.public), OperationSecrets(user_info=split.user_info), settings)
        for part, secret in (("query", split.query), ("user_info", split.user_info)):
            if secret is not None:
                secrets.mirrors[f"{place} {part}"] = secret
    return [split.public for split in splits]


def refuse_unknown(options: Mapping[str, Any]) -> None:
    """Raise ``TypeError`` for what is no option of a download; the message names the nearest."""
    for name in options:
        if name not in OPTION_NAMES:
            near = difflib.get_close_matches(name, OPTION_NAMES, n=1, cutoff=0.6)
            hint = f"the nearest is {near[0]!r}" if near else "timeouts and limits are settings of the downloader"
            raise TypeError(f"There is no option {name!r}; {hint}.")


def _add_headers(given: Mapping[str, str], plain: dict[str, str], secrets: OperationSecrets) -> None:
    if not hasattr(given, "items"):
        raise InvalidRequest(f"headers is a mapping of names to values, not {type(given).__name__}.")
    for name, value in given.items():
        put_header(plain, secrets, name, value, secret=None)


def put_header(
    plain: dict[str, str], secrets: OperationSecrets, name: str, value: str | None, *, secret: bool | None
) -> None:
    """Set a header among the plain or the secret ones, in place of any of the same name; None removes it."""
    if value is not None:
        name, value = check_header(name, value)
    for store in (plain, secrets.headers):
        for old in [each for each in store if each.lower() == name.lower()]:
            del store[old]
    if value is None:
        return
    if is_secret_header(name) if secret is None else secret:
        secrets.headers[name] = Secret(value)
    else:
        plain[name] = value


def _location(result_file: object, options: Mapping[str, Any], *, may_be_folder: bool) -> Location | None:
    """Return the place in a store, None for a file of this machine."""
    if isinstance(result_file, str) and is_store(result_file):
        location = locate(result_file, options.get("storage_options"))
        if location.needs_name and not may_be_folder:
            raise InvalidRequest(f"{location.url!r} is a folder; name a file in it, or use download().")
        return location
    if options.get("storage_options") is not None:
        raise InvalidRequest("storage_options is for a destination in a store, such as s3://BUCKET/KEY.")
    return None


def check_group_name(name: object) -> str:
    """Return the name of a group, empty for none; raises `InvalidRequest` for what is no name."""
    if name is None:
        return ""
    if not isinstance(name, str) or len(name) > 200 or any(ord(character) < 32 for character in name):  # noqa: PLR2004 (what a line of a panel holds; the control characters)
        raise InvalidRequest("The name of a group is a line of at most 200 characters.")
    return name


def credential_of(value: PasswordCredential | None) -> Credential | None:
    """Return what a request needs of a user's credential."""
    return value.credential if value is not None else None
