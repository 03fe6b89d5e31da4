"""Makes the counterparts known here as fixtures."""

from tests.servers.fixtures import authority, fault_server, ftp_server, nginx, proxy, scripted_ftp, squid, tcp_proxy

__all__ = ["authority", "fault_server", "ftp_server", "nginx", "proxy", "scripted_ftp", "squid", "tcp_proxy"]
