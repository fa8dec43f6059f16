"""Errors of the store as ClickHouse clients know them: a code, a name, an HTTP status, a message."""

import re
from typing import Final

from schemas.errors import CustodyError, Fault

HTTP_STATUS: Final = {
    46: 404, 60: 404, 81: 404, 82: 404,  # unknown function, table, database
    47: 404, 16: 404,  # unknown identifier, column
    62: 400, 27: 400, 41: 400, 43: 400, 53: 400, 117: 400, 115: 404, 456: 400, 457: 400,
    36: 400, 158: 500,
    159: 408, 160: 408, 164: 403, 202: 503, 241: 503, 396: 413, 497: 403, 516: 403, 194: 401, 48: 501,
    307: 413,
}  # fmt: skip
_CODE: Final = re.compile(r"Code: (\d+)")
_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]+)\)[^()]*$")


class StoreError(CustodyError):
    """The store cannot start; the message is one line that tells a person what to do."""

    fault = Fault.CALLER


class QueryRefused(CustodyError):
    """A statement that its role may not run, or that the front cannot vouch for."""

    fault = Fault.CALLER


class QueryError(CustodyError):
    """What a client is told: ClickHouse's code and name, and a message."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"Code: {self.code}. DB::Exception: {self.message} ({self.name})"

    @property
    def http_status(self) -> int:
        return HTTP_STATUS.get(self.code, 500)


def refused(message: str) -> QueryError:
    return QueryError(497, "ACCESS_DENIED", message)


def overloaded() -> QueryError:
    return QueryError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many queries wait already; try again")


def unauthenticated(user: str) -> QueryError:
    text = f"{user[:64]}: Authentication failed: password is incorrect, or there is no user with such name."
    return QueryError(516, "AUTHENTICATION_FAILED", text)


def too_large(what: str, limit: int) -> QueryError:
    return QueryError(307, "TOO_MANY_BYTES", f"{what} exceeds {limit} bytes")


def result_too_large(limit: int) -> QueryError:
    text = f"Limit for result exceeded, max bytes: {limit}: ask for less, or page with LIMIT"
    return QueryError(396, "TOO_MANY_ROWS_OR_BYTES", text)


def bad_request(message: str) -> QueryError:
    return QueryError(36, "BAD_ARGUMENTS", message)


def from_engine(text: str, hidden: str = "") -> QueryError:
    """The engine's own error; `hidden` (a path of this host) is taken out of its text."""
    if hidden:
        text = text.replace(hidden, "the body")
    code = _CODE.search(text)
    name = _NAME.search(text)
    message = text.split("DB::Exception: ", 1)[-1]
    if name is not None:
        message = message[: message.rfind(name.group())].rstrip()
    return QueryError(int(code.group(1)) if code else 1002, name.group(1) if name else "UNKNOWN_EXCEPTION", message)
