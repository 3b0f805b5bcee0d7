"""Errors in the API's terms: the published codes and texts, the errors of a request whose photo is not decoded, and the
table from idseg's errors to the API's codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from idseg import errors
from idseg.errors import IdsegError, PhotoFormatError

Reply: TypeAlias = dict[str, Any]
"""A JSON object as the API sends it."""

ERROR_TEXTS: Final[Mapping[int, str]] = {
    1: "Unknown error",
    2: "Service temporarily unavailable",
    3: "Unsupported openapi method",
    4: "Open api request limit reached",
    6: "No permission to access data",
    13: "Get service token failed",
    14: "IAM Certification failed",
    15: "app not exsits or create failed",
    17: "Open api daily request limit reached",
    18: "Open api qps request limit reached",
    19: "Open api total request limit reached",
    100: "Invalid parameter",
    110: "Access token invalid or no longer valid",
    111: "Access token expired",
    216100: "invalid param",
    216101: "not enough param",
    216102: "service not support",
    216103: "param too long",
    216110: "appid not exist",
    216200: "empty image",
    216201: "image format error",
    216202: "image size error",
    216203: "image size error",
    216630: "recognize error",
    216634: "detect error",
    282000: "internal error",
}
"""The published texts, with their misspellings."""


class RequestError(IdsegError):
    """A request that is refused before its photo is decoded."""

    reason = "request"


class UnavailableError(RequestError):
    """The models are not loaded yet, or the server is shutting down."""

    reason = "unavailable"


class MethodError(RequestError):
    """The path or the method under /rest/2.0/ is unknown."""

    reason = "method"


class BusyError(RequestError):
    """The queue of accepted requests is full, or the memory for request bodies is used up."""

    reason = "busy"


class SignatureError(RequestError):
    """bce-auth: unknown key, wrong signature, or outside its period of validity."""

    reason = "signature"


class DailyQuotaError(RequestError):
    """The key has used all its requests of the day."""

    reason = "daily_quota"


class RateError(RequestError):
    """The key sends requests faster than allowed."""

    reason = "rate"


class NoCredentialError(RequestError):
    """The request has neither an access_token nor a bce-auth header."""

    reason = "no_credential"


class UnknownTokenError(RequestError):
    """This server did not issue the token, or its key was removed."""

    reason = "unknown_token"


class ExpiredTokenError(RequestError):
    """The token has expired."""

    reason = "expired_token"


class BodyTimeoutError(RequestError):
    """The body did not arrive in time."""

    reason = "body_timeout"


class BodyChunksError(RequestError):
    """The body arrived in chunks of only a few bytes."""

    reason = "body_chunks"


class MissingImageError(RequestError):
    """The form has no ``image`` field."""

    reason = "missing_image"


class ForeignSiteError(RequestError):
    """A call for the web page that came from another site."""

    reason = "foreign_site"


class DataHeaderError(PhotoFormatError):
    """The base64 still has its ``data:image/…;base64,`` header."""

    reason = "data_header"


ERROR_CODES: Final[Mapping[type[IdsegError], int]] = {
    errors.IdsegError: 282000,
    errors.OptionError: 216100,
    errors.InputError: 216201,
    errors.PhotoTypeError: 216100,
    errors.PhotoReadError: 282000,
    errors.EmptyPhotoError: 216200,
    errors.PhotoFormatError: 216201,
    errors.PhotoDamagedError: 216201,
    errors.PhotoSizeError: 216202,
    errors.Base64Error: 216203,
    errors.PersonError: 216634,
    errors.NoPersonError: 216634,
    errors.MultiplePersonsError: 216634,
    errors.UpsideDownError: 216634,
    errors.SidewaysError: 216634,
    errors.ModelError: 2,
    errors.ModelMissingError: 2,
    errors.ModelDamagedError: 2,
    errors.ModelNameError: 2,
    errors.ProviderError: 282000,
    errors.DependencyError: 282000,
    RequestError: 216100,
    UnavailableError: 2,
    MethodError: 3,
    BusyError: 4,
    SignatureError: 14,
    DailyQuotaError: 17,
    RateError: 18,
    NoCredentialError: 100,
    UnknownTokenError: 110,
    ExpiredTokenError: 111,
    BodyTimeoutError: 216100,
    BodyChunksError: 216100,
    MissingImageError: 216101,
    ForeignSiteError: 6,
    DataHeaderError: 216201,
}
"""Error class → the API's code. A test checks that every error has a row."""

INTERNAL: Final = 282000


def error_code(error: BaseException) -> int:
    """The API's code of an error; 282000 for an error that is not idseg's."""
    return next((ERROR_CODES[kind] for kind in type(error).__mro__ if kind in ERROR_CODES), INTERNAL)


def render_error(error: BaseException, log_id: int) -> Reply:
    """The reply to an error. For an internal error it gives no details."""
    code = error_code(error)
    reply: Reply = {"error_code": code, "error_msg": ERROR_TEXTS[code]}
    if code < 1000:
        return reply
    detail = {"reason": "internal"} if code == INTERNAL or not isinstance(error, IdsegError) else error.to_dict()
    return {"log_id": log_id, **reply, "error_detail": detail}
