"""What an HTTP request does, by its method and the shape of its path."""

import hashlib
import re
from typing import Final

from policy.model import Call, Classified, ObjectAccess, Operation
from policy.model_paths import is_model_path, model_of_path

_METHODS: Final = {
    "GET": Operation.READ,
    "HEAD": Operation.READ,
    "OPTIONS": Operation.READ,
    "TRACE": Operation.READ,
    "PROPFIND": Operation.READ,
    "REPORT": Operation.READ,
    "SEARCH": Operation.READ,
    "POST": Operation.WRITE,
    "PUT": Operation.WRITE,
    "PATCH": Operation.WRITE,
    "PROPPATCH": Operation.WRITE,
    "MKCOL": Operation.WRITE,
    "COPY": Operation.WRITE,
    "MOVE": Operation.DELETE,
    "DELETE": Operation.DELETE,
    "CONNECT": Operation.EXECUTE,
}
_WITHOUT_CONTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# A parameter that some frameworks obey instead of the method.
_OVERRIDE: Final = re.compile(r"(?i)[?&](?:_method|x-http-method-override|\$httpmethod)=([a-z]+)")
_ID: Final = re.compile(
    r"\d+|[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|(?=[^/]*\d)[A-Za-z0-9_-]{20,}"
    r"|[^/@]+@[^/]+"
)


def path_shape(path: str) -> str:
    """The path without query, each part that is an identifier as `{id}`."""
    plain = path.split("#", 1)[0].split("?", 1)[0]
    return "/".join("{id}" if _ID.fullmatch(part) else part for part in plain.split("/"))


def classify_http(statement: str) -> Classified:
    """Classify "METHOD url" (a path or an absolute URL). Unknown methods are the most dangerous."""
    method, _, target = statement.strip().partition(" ")
    target = target.split(" ", 1)[0]
    operation = _METHODS.get(method)
    override = _OVERRIDE.search(target)
    if override:
        other = _METHODS.get(override[1].upper(), Operation.ADMIN)
        operation = max(operation or Operation.ADMIN, other, key=lambda o: o.rank)
    scheme, separator, rest = target.partition("://")
    host, slash, path = rest.partition("/") if separator else ("", "", target)
    shape = path_shape(slash + path)
    name = f"{host.rpartition('@')[2].lower()}{shape}" or "/"
    access = operation or Operation.ADMIN
    is_model = method not in _WITHOUT_CONTENT and is_model_path(slash + path)
    return Classified(
        operation=access,
        objects=(ObjectAccess(name, access),),
        fingerprint=hashlib.sha256(
            f"{method} {scheme if separator else ''} {name}".encode("utf-8", "replace")
        ).hexdigest()[:16],
        is_unknown=operation is None,
        call=Call.MODEL if is_model else Call.NOTHING,
        called=model_of_path(slash + path) if is_model else "",
    )
