"""Facts without the secrets of their operation: a server may send back what it was sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bgdl_jupyter.events import ActivityChanged, ResourceProbed, Restarted
from bgdl_jupyter.secret import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bgdl_jupyter.engine.order import Durable
    from bgdl_jupyter.events import OperationEvent
    from bgdl_jupyter.resource import Resource
    from bgdl_jupyter.secret import Secret


def masked_event(event: OperationEvent, secrets: Sequence[Secret]) -> OperationEvent:
    """Return what may be told of an event."""
    match event:
        case ActivityChanged(reason=reason) | Restarted(reason=reason) if reason:
            return replace(event, reason=redact(reason, secrets))
        case ResourceProbed(resource=resource):
            return replace(event, resource=masked_resource(resource, secrets))
    return event


def masked_durable(durable: Durable, secrets: Sequence[Secret]) -> Durable:
    """Return what may be recorded; the validator stays as it is, for a resume asks with it."""
    resource = durable.resource
    return durable if resource is None else replace(durable, resource=masked_resource(resource, secrets))


def masked_resource(resource: Resource, secrets: Sequence[Secret]) -> Resource:
    """Return what may be shown of a server's answer."""
    headers = tuple((name, redact(value, secrets)) for name, value in resource.headers)
    return replace(resource, actual_uri=redact(resource.actual_uri, secrets), headers=headers)
