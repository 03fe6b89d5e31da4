"""Fetches bytes: one module a protocol, behind the small interface of `base`."""
