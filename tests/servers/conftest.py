"""Makes the counterparts known here as fixtures."""

from tests.servers.fixtures import authority, fault_server, ftp_server, nginx, scripted_ftp

__all__ = ["authority", "fault_server", "ftp_server", "nginx", "scripted_ftp"]
