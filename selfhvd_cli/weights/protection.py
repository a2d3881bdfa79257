"""What protects a file on its way: https, or a hash that is known beforehand."""

from __future__ import annotations

from urllib.parse import urlsplit

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.redact import redact_url
from selfhvd_cli.weights.spec import WeightSpec

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def check_protection(spec: WeightSpec, url: str) -> None:
    """Refuse a file that anybody on the way could replace; a hash that comes the same way vouches for nothing.

    Raises:
        WeightsFault: the address is not https, and the manifest knows no hash.
    """
    address = urlsplit(url)
    if address.scheme == "http" and address.hostname not in LOOPBACK and not spec.expected_hash:
        raise WeightsFault(
            f"{redact_url(url)}: neither the connection nor a known hash protects this file; use an https address."
        )
