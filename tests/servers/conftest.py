"""Makes the counterparts known here as fixtures."""

from tests.servers.fixtures import authority, fault_server, nginx

__all__ = ["authority", "fault_server", "nginx"]
