"""
What nearly all records say: a record that does says so in one word, and then only what it says beside.

Part of the format of the state file. What is here never changes: records on disks refer to it. Another one may be put
beside it, under another number.
"""

from __future__ import annotations

import json
from typing import Any, Final

#: A member that stands for the members of the record of its number.
USUAL: Final = "usual:"
_NUMBER: Final = 1
# What differs in the settings, where these are a part of what is usual.
_SETTINGS: Final = "options"
_OTHER_SETTINGS: Final = "options:"
_TEXT: Final = (
    '{"attempts":0,"checksum":"","collision":3,"cost_policy":0,"current_web_error_status":null,"digest":"",'
    '"has_response_changed":false,"has_restarted":false,"integrity":null,"is_random_access_required":false,'
    '"method":"GET","post_processing":{},"priority":0,"proxy":"","size":null,"started_at":null,"status_reason":"",'
    '"store_url":"","mirrors":[],"options":{"allow_body_redirect":false,"allow_insecure_auth":false,'
    '"allow_insecure_redirect":false,"allow_private_redirect":false,"allow_unverified_resume":false,"ca_file":"",'
    '"connect_timeout":30.0,"max_connections_per_download":16,"max_retries":8,"max_size":null,"require_length":false,'
    '"expect_type":null,"response_timeout":60.0,"stall_timeout":30.0,"trust_env":true,"use_netrc":false},'
    '"plain_headers":{},"secret_names":[]}'
)


def shortened(record: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be stored of a record: less, where it has all that is usual, if perhaps with other values."""
    usual = json.loads(_TEXT)
    rest, settings = dict(record), record.get(_SETTINGS)
    if type(settings) is not dict or not rest.keys() >= usual.keys() or not settings.keys() >= usual[_SETTINGS].keys():
        return record
    other = _differing(settings, usual[_SETTINGS])
    del rest[_SETTINGS]
    rest = _differing(rest, usual)
    return {USUAL: _NUMBER, **({_OTHER_SETTINGS: other} if other else {}), **rest}


def restored(stored: dict[str, Any]) -> dict[str, Any]:
    """
    Return the record of which `shortened` made this; any other as it is.

    Raises
    ------
    ValueError
        It refers to what is not known here.
    """
    if USUAL not in stored:
        return stored
    record, rest = json.loads(_TEXT), dict(stored)
    number, other = rest.pop(USUAL), rest.pop(_OTHER_SETTINGS, {})
    if type(number) is not int or number != _NUMBER or type(other) is not dict:
        raise ValueError("it refers to a usual record that is not known")
    record[_SETTINGS] |= other
    whole: dict[str, Any] = record | rest
    return whole


def _differing(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """Return what is not usual; as texts, since 0 is equal to False."""
    texts = {name: json.dumps(value) for name, value in usual.items()}
    return {name: value for name, value in given.items() if json.dumps(value) != texts.get(name)}
