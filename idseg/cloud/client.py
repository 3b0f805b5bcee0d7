"""A client of the API, both for an idseg server and for the cloud. It needs only the standard library.

>>> client = Client("http://127.0.0.1:8080", "API key", "secret key")
>>> reply = client.body_seg_photo("selfie.jpg")  # doctest: +SKIP

Errors::

    ClientError (IdsegError)
    ├── TransportError (OSError)       no answer, or an answer that is not the API's JSON
    ├── LoginError                     the token endpoint refused the keys: ``error``, ``status``
    └── ApiError                       the API refused the request: ``code``, ``text``, ``log_id``, ``detail``
        ├── AuthorizationError         6, 13, 14, 15, 100, 110, 111
        ├── LimitError                 4, 17, 18, 19: try later, or send more slowly
        ├── ServiceError               1, 2, 3, 282000
        └── PhotoError                 2161xx to 216634: the photo, or the form in which it was sent, is wrong
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, ClassVar, Final

from idseg._version import __version__
from idseg.errors import EmptyPhotoError, IdsegError, OptionError, PhotoReadError

PATH: Final = "/rest/2.0/image-classify/v1/body_seg_photo"
TOKEN_PATH: Final = "/oauth/2.0/token"  # noqa: S105 - a path
EARLY_S: Final = 60
"""A token is renewed this many seconds before it expires."""
_LOST_TOKEN: Final = (110, 111)
_LOOPBACK: Final = ("127.", "localhost", "[::1]")


class ClientError(IdsegError, RuntimeError):
    """A call that gave no result."""

    reason: ClassVar[str] = "client"


class TransportError(ClientError, OSError):
    """No answer, or an answer that is not the API's JSON."""

    reason: ClassVar[str] = "transport"


class LoginError(ClientError):
    """The token endpoint refused the keys."""

    reason: ClassVar[str] = "login"

    @property
    def status(self) -> int:
        """HTTP status."""
        return int(str(self.facts["status"]))

    @property
    def error(self) -> str:
        """``invalid_client``, ``unsupported_grant_type``, …"""
        return str(self.facts["error"])


class ApiError(ClientError):
    """The API refused the request."""

    reason: ClassVar[str] = "api"

    @property
    def code(self) -> int:
        """``error_code``."""
        return int(str(self.facts["code"]))

    @property
    def text(self) -> str:
        """``error_msg``."""
        return str(self.facts["text"])

    @property
    def log_id(self) -> int | None:
        """``log_id``; None for codes up to 111, with which the API sends none."""
        found = self.facts.get("log_id")
        return None if found is None else int(str(found))

    @property
    def detail(self) -> dict[str, Any]:
        """``error_detail`` of an idseg server; empty for a reply of the cloud."""
        found: dict[str, Any] = json.loads(str(self.facts.get("detail", "{}")))
        return found


class AuthorizationError(ApiError):
    """The keys or the token do not permit this request."""

    reason: ClassVar[str] = "api_authorization"


class LimitError(ApiError):
    """Too many requests at once, per second, or per day."""

    reason: ClassVar[str] = "api_limit"


class ServiceError(ApiError):
    """The service has failed or is not available."""

    reason: ClassVar[str] = "api_service"


class PhotoError(ApiError):
    """The photo, or the form in which it was sent, is wrong."""

    reason: ClassVar[str] = "api_photo"


_KINDS: Final[dict[int, type[ApiError]]] = {
    **dict.fromkeys((6, 13, 14, 15, 100, 110, 111), AuthorizationError),
    **dict.fromkeys((4, 17, 18, 19), LimitError),
    **dict.fromkeys((1, 2, 3, 282000), ServiceError),
}


class Client:
    """Keeps a token and renews it when it expires or is rejected. Thread-safe."""

    def __init__(self, host: str, api_key: str, secret_key: str, *, timeout_s: float = 60.0) -> None:
        """
        Args:
            host: ``https://aip.baidubce.com`` or ``http://127.0.0.1:8080``. Without a scheme: http for this machine,
                https for any other.
            api_key, secret_key: the pair of keys; empty for a server without keys.
            timeout_s: seconds for connecting, and between two pieces of an answer.
        """
        if "://" not in host:
            host = ("http://" if host.startswith(_LOOPBACK) else "https://") + host
        if urllib.parse.urlsplit(host).scheme not in ("http", "https"):
            raise OptionError(f"{host!r} is not an http or https address", host=host)
        self._host = host.rstrip("/")
        self._api_key = api_key
        self._secret_key = secret_key
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._token = ""
        self._token_ends = 0.0

    def body_seg_photo(self, photo: str | os.PathLike[str] | bytes) -> dict[str, Any]:
        """The API's reply to a photo.

        ``photo`` is a path, or the bytes of a JPEG, PNG or BMP file.

        Raises:
            PhotoReadError, EmptyPhotoError: the photo cannot be sent.
            ApiError, LoginError, TransportError: see the module.
        """
        form = urllib.parse.urlencode({"image": base64.b64encode(_file_bytes(photo)).decode("ascii")}).encode()
        token = self._current_token()
        reply = self._post(PATH, {"access_token": token}, form)
        if reply.get("error_code") in _LOST_TOKEN:
            self._drop_token(token)
            reply = self._post(PATH, {"access_token": self._current_token()}, form)
        if "error_code" in reply:
            raise _api_error(reply)
        return reply

    def _current_token(self) -> str:
        with self._lock:
            if not self._token or time.time() > self._token_ends - EARLY_S:
                self._token, self._token_ends = self._login()
            return self._token

    def _drop_token(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = ""

    def _login(self) -> tuple[str, float]:
        form = urllib.parse.urlencode(
            {"grant_type": "client_credentials", "client_id": self._api_key, "client_secret": self._secret_key}
        )
        reply = self._post(TOKEN_PATH, {}, form.encode())
        try:
            return str(reply["access_token"]), time.time() + float(reply["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise TransportError(f"{self._host} gave no token") from None

    def _post(self, path: str, query: dict[str, str], form: bytes) -> dict[str, Any]:
        url = self._host + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "User-Agent": f"idseg/{__version__}",
        }
        request = urllib.request.Request(url, form, headers)  # noqa: S310 - the scheme was checked
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _http_error(self._host, error.code, error.read()) from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            raise TransportError(f"no answer from {self._host}: {why}", host=self._host) from error
        return _object(self._host, text)


def _file_bytes(photo: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(photo, bytes):
        content = photo
    else:
        try:
            content = Path(photo).read_bytes()
        except OSError as error:
            raise PhotoReadError(f"cannot read {photo}: {error.strerror}", path=str(photo)) from None
    if not content:
        raise EmptyPhotoError("the photo is empty")
    return content


def _object(host: str, text: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(text)
    except ValueError:
        raise TransportError(f"{host} did not answer in JSON", host=host) from None
    if not isinstance(reply, dict):
        raise TransportError(f"{host} did not answer with a JSON object", host=host)
    return reply


def _http_error(host: str, status: int, text: bytes) -> ClientError:
    try:
        reply = _object(host, text)
        if "error_code" in reply:
            return _api_error(reply)
        error, description = str(reply["error"]), str(reply.get("error_description", ""))
    except (TransportError, KeyError):
        return TransportError(f"{host} answered with HTTP {status}", host=host, status=status)
    return LoginError(f"{host} refuses the login: {error}: {description}", status=status, error=error)


def _api_error(reply: dict[str, Any]) -> ApiError:
    code, text = int(reply["error_code"]), str(reply.get("error_msg", ""))
    detail = reply.get("error_detail", {})
    why = f": {detail['message']}" if isinstance(detail, dict) and "message" in detail else ""
    facts: dict[str, Any] = {"code": code, "text": text}
    if "log_id" in reply:
        facts["log_id"] = reply["log_id"]
    if detail:
        facts["detail"] = json.dumps(detail)
    return _KINDS.get(code, PhotoError)(f"{code} {text}{why}", **facts)
