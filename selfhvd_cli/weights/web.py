"""Opening an http(s) address: proxies from the environment, careful redirects, faults in the user's words."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import IO
from urllib.parse import unquote, urlsplit

from selfhvd_cli import __version__
from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.patience import Patience, retry_after
from selfhvd_cli.weights.redact import redact, redact_url

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be better a moment later."""

REMEDIES: Mapping[int, str] = {
    401: "it wants a login; for the Hub set HF_TOKEN to a token of yours, for other sites write user:password@ "
    "into --mirror",
    403: "access is refused; a gated repository wants its licence accepted on its page and HF_TOKEN set",
    404: "no such file there; it may have moved: try --mirror, or download by hand and selfhvd weights import FILE",
    407: "the proxy wants a login; write it into HTTPS_PROXY",
    410: "the file is gone; download it elsewhere and selfhvd weights import FILE",
}
"""Final answers and what to do about them."""


class Passing(Exception):
    """Something that may go away: try again, after `wait` seconds if the server named a time."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Refused(WeightsFault):
    """A final answer of the server, with its status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def pause_after(trouble: Passing, failures: int, patience: Patience) -> float:
    """Seconds to wait after so many failures in a row.

    Raises:
        WeightsFault: patience is at its end.
    """
    wait = patience.wait(failures) if trouble.wait is None else trouble.wait
    if failures >= patience.tries:
        raise WeightsFault(
            f"{trouble}; given up after {failures} tries. Try again later (it continues where it stopped), "
            f"or use --mirror URL, or download the file by hand: selfhvd weights import FILE"
        )
    if wait > patience.longest_retry_after:
        raise WeightsFault(f"{trouble} and asks to wait {wait:.0f} s; try again after that.")
    return wait


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without handing a login to another server, and never from https down to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        if _scheme(req.full_url) == "https" and _scheme(newurl) != "https":
            raise WeightsFault(f"{redact_url(req.full_url)}: redirects to the unsafe {redact_url(newurl)}; refused.")
        moved = super().redirect_request(req, fp, code, msg, headers, newurl)
        if moved is not None:
            moved.method = req.get_method()  # HEAD stays HEAD
            if origin(newurl) != origin(req.full_url):
                moved.remove_header("Authorization")
        return moved


class _StayHome(_CarefulRedirects):
    """Follows redirects within one server only; the first one that leaves it is the answer."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        if origin(newurl) != origin(req.full_url):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a login belongs to."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def open_address(url: str, headers: Mapping[str, str], silence: float) -> http.client.HTTPResponse:
    """GET an address and follow its redirects.

    Args:
        url: http(s), a login as `user:password@` allowed.
        headers: sent along; an Authorization stays with its server.
        silence: seconds without a byte after which the connection is given up.

    Raises:
        Passing: worth another try.
        WeightsFault: not worth one.
    """
    return _open(url, headers, silence, "GET", _CarefulRedirects())


def look_up(url: str, headers: Mapping[str, str], silence: float) -> Message:
    """The headers of an address, redirects followed within its server only; faults as `open_address`."""
    try:
        with _open(url, headers, silence, "HEAD", _StayHome()) as answer:
            return answer.headers
    except _Leaving as leaving:
        return leaving.headers


class _Leaving(Exception):
    def __init__(self, headers: Message) -> None:
        super().__init__("redirect to another server")
        self.headers = headers


def _open(
    url: str, headers: Mapping[str, str], silence: float, method: str, redirects: _CarefulRedirects
) -> http.client.HTTPResponse:
    shown = redact_url(url)
    address, login = _split_login(url)
    sent = {"User-Agent": f"selfhvd/{__version__}", "Accept-Encoding": "identity", **headers, **login}
    opener = urllib.request.build_opener(redirects)
    try:
        answer: http.client.HTTPResponse = opener.open(
            urllib.request.Request(address, headers=sent, method=method), timeout=silence
        )
        return answer
    except urllib.error.HTTPError as fault:
        with fault:
            if isinstance(redirects, _StayHome) and fault.code in (301, 302, 303, 307, 308):
                raise _Leaving(fault.headers) from None
            raise _refusal(fault, shown) from None
    except urllib.error.URLError as fault:
        if isinstance(fault.reason, ssl.SSLCertVerificationError):
            raise WeightsFault(
                f"{shown}: its certificate is not trusted ({fault.reason.verify_message}); behind a company proxy "
                f"set SSL_CERT_FILE to its certificates."
            ) from None
        raise Passing(f"{shown}: not reachable ({redact(fault.reason)})") from None
    except (http.client.InvalidURL, ValueError):
        raise WeightsFault(f"{shown}: no usable address.") from None
    except (http.client.HTTPException, OSError) as fault:
        raise Passing(f"{shown}: the connection broke ({redact(fault) or type(fault).__name__})") from None


def _refusal(fault: urllib.error.HTTPError, shown: str) -> Exception:
    if fault.code in PASSING:
        wait = retry_after(fault.headers.get("Retry-After"), fault.headers.get("Date"))
        return Passing(f"{shown}: the server answers {fault.code}", wait)
    detail = {
        "RepoNotFound": "no such repository, or a private one; check the name, or set HF_TOKEN",
        "GatedRepo": "a gated repository; accept its licence on its page and set HF_TOKEN",
        "RevisionNotFound": "no such revision in that repository",
        "EntryNotFound": "no such file in that repository and revision",
    }.get(fault.headers.get("X-Error-Code") or "")
    remedy = detail or REMEDIES.get(fault.code, "try later, or download by hand and selfhvd weights import FILE")
    return Refused(f"{shown}: the server answers {fault.code}: {remedy}.", fault.code)


def _split_login(url: str) -> tuple[str, dict[str, str]]:
    """The address without `user:password@`, and the header that says the same."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise WeightsFault(f"{redact_url(url)}: only http and https addresses are fetched.")
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    token = base64.b64encode(unquote(login).encode()).decode("ascii")
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {token}"}


def _scheme(url: str) -> str:
    return urlsplit(url).scheme
