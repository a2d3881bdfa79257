"""Text without secrets: no token, no password, no signed address reaches a message, a record or a log."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit, urlunsplit

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")

_URL = re.compile(r"https?://[^\s'\"<>]+")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")


def redact_url(url: str) -> str:
    """The address without user, password, query and fragment: CDN queries are signatures."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an unreadable address"
    return _blot(urlunsplit((parts.scheme, host, parts.path, "", "")))


def redact(text: object) -> str:
    """Any text with its addresses shortened and tokens blotted out."""
    return _blot(_URL.sub(lambda match: redact_url(match.group()), str(text)))


def _blot(text: str) -> str:
    for variable in TOKEN_VARIABLES:
        if token := os.environ.get(variable):
            text = text.replace(token, "***")
    return _TOKEN.sub("***", text)
