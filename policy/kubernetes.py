"""What a request to the Kubernetes API does: `VERB path?query`, the verb of HTTP or of the API.

The path is taken apart as the API server does it. Paths that somebody could read otherwise (empty parts, dots, encoding
within encoding) are unknown. `dryRun` does not make a request milder: it is a wish that admission code may not share.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from policy.fingerprints import shape_of
from policy.model import Classified, ObjectAccess, Operation, worse

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)
MAX_CHARS: Final = 16 * 1024

_VERBS: Final = {
    **dict.fromkeys("GET HEAD OPTIONS LIST WATCH".split(), _READ),
    **dict.fromkeys("POST PUT PATCH CREATE UPDATE APPLY".split(), _WRITE),
    **dict.fromkeys("DELETE DELETECOLLECTION".split(), _DELETE),
    **dict.fromkeys("BIND ESCALATE APPROVE SIGN".split(), _GRANT),
    **dict.fromkeys("CONNECT PROXY IMPERSONATE".split(), _EXECUTE),
}
# Reached into with any verb: GET opens these too.
_RUNNING: Final = frozenset({"exec", "attach", "portforward", "proxy", "ephemeralcontainers"})
_LOOKED_AT: Final = frozenset({"", "status", "scale", "log", "resize", "approval"})
"""Parts of an object that GET only reads. Another server's own may be anything, a console among them."""
_SUBRESOURCES: Final = {
    "eviction": _DELETE,
    "finalize": _DELETE,
    "token": _EXECUTE,
    "approval": _GRANT,
    "binding": _ADMIN,
}
# POSTed to ask a question.
_QUESTIONS: Final = frozenset(
    "selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews localsubjectaccessreviews tokenreviews"
    " selfsubjectreviews".split()
)
_RIGHTS: Final = frozenset(
    "roles rolebindings clusterroles clusterrolebindings serviceaccounts certificatesigningrequests"
    " clustertrustbundles podsecuritypolicies securitycontextconstraints".split()
)
_RIGHTS_GROUPS: Final = frozenset(
    {"rbac.authorization.k8s.io", "certificates.k8s.io", "authentication.k8s.io", "authorization.k8s.io"}
)
_DEFINITIONS: Final = frozenset({"customresourcedefinitions"})
_MACHINERY: Final = frozenset(
    "mutatingwebhookconfigurations validatingwebhookconfigurations validatingadmissionpolicies"
    " validatingadmissionpolicybindings mutatingadmissionpolicies mutatingadmissionpolicybindings apiservices nodes"
    " bindings storageclasses csidrivers csinodes runtimeclasses ingressclasses priorityclasses flowschemas"
    " prioritylevelconfigurations volumeattachments componentstatuses etcds machineconfigs clusterversions".split()
)
_OPEN_PATHS: Final = re.compile(
    r"/?(?:|version|metrics(?:/\w+)?|openapi(?:/.*)?|swagger[\w./-]*|api|apis|healthz|livez|readyz|(?:healthz|livez|readyz)/[\w/.-]+"
    r"|\.well-known/[\w/.-]+|configz|statusz|flagz)/?"
)
_PART: Final = re.compile(r"[A-Za-z0-9_.:@$~+=,*-]+")


class _Target(NamedTuple):
    """What a path names. `name` and `namespace` are empty when it names none."""

    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.namespace, self.resource, self.name, self.subresource) if part)


def classify_kubernetes(statement: str) -> Classified:
    """Classify "VERB path?query" (a path or a URL). Verbs and paths that nobody knows are unknown."""
    verb, _, address = statement.strip().partition(" ")
    operation = _VERBS.get(verb.upper())
    address = address.strip()
    if operation is None or not address or len(statement) > MAX_CHARS or any(each <= " " for each in address):
        return UNKNOWN
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        return UNKNOWN
    path = unquote(parts.path)
    if operation is _READ and _OPEN_PATHS.fullmatch(path):
        return _result(verb, operation, _Target("", path.strip("/") or "/"))
    if path.startswith(("/logs", "/debug")):
        return _result(verb, worse(operation, _EXECUTE), _Target("", path.strip("/")))  # files and memory of the server
    target = _read_path(path)
    if target is None:
        return UNKNOWN
    has_selector = any(value for name in ("labelSelector", "fieldSelector") for value in query.get(name, []) if value)
    return _result(verb, _judge(operation, target), target, has_where=has_selector or bool(target.name))


def _result(verb: str, operation: Operation, target: _Target, *, has_where: bool = False) -> Classified:
    is_change = operation is not _READ and verb.upper() in ("DELETE", "DELETECOLLECTION")
    return Classified(
        operation,
        (ObjectAccess(str(target), operation),),
        shape_of([verb.upper(), target.group, target.resource, target.subresource, str(bool(target.name))]),
        has_where=has_where,
        lacks_where=is_change and not has_where,
    )


def _read_path(path: str) -> _Target | None:
    """/api/v1/… or /apis/GROUP/VERSION/…; None for a path that could be read in more than one way."""
    parts = path.removesuffix("/").split("/")[1:]
    if not path.startswith("/") or len(parts) < 2:
        return None
    running = next((at for at, part in enumerate(parts) if part == "proxy"), len(parts))
    if any(not _PART.fullmatch(part) or part in (".", "..") for part in parts[: running + 1]):
        return None  # what is behind `proxy` belongs to somebody else's server
    if parts[0] == "api":
        group, rest = "", parts[2:]
    elif parts[0] == "apis":
        group, rest = parts[1], parts[3:]
    else:
        return None
    if not rest:
        return _Target(group, "/".join(parts))
    if rest[0] in ("watch", "proxy") and len(rest) > 1:
        target = _read_resource(group, rest[1:])  # the old forms
        return target._replace(subresource="proxy") if rest[0] == "proxy" else target
    return _read_resource(group, rest)


def _read_resource(group: str, parts: list[str]) -> _Target:
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    name = parts[1] if len(parts) > 1 else ""
    return _Target(group, parts[0].lower(), namespace, name, parts[2].lower() if len(parts) > 2 else "")


def _judge(operation: Operation, target: _Target) -> Operation:
    """What the verb does to this resource at worst."""
    if target.subresource in _RUNNING:
        is_looked_at = target.subresource == "ephemeralcontainers" and operation is _READ
        return _READ if is_looked_at else worse(operation, _EXECUTE)
    if operation is _READ:
        is_read = target.subresource in _LOOKED_AT or target.group.endswith("metrics.k8s.io")
        return _READ if is_read else _EXECUTE
    if target.resource in _QUESTIONS and not target.name and operation is _WRITE:
        return _READ
    operation = worse(operation, _SUBRESOURCES.get(target.subresource, _READ))
    if target.resource in _RIGHTS or target.group in _RIGHTS_GROUPS:
        return worse(operation, _GRANT)
    if target.resource in _DEFINITIONS:
        return worse(operation, _DDL)
    return worse(operation, _ADMIN) if target.resource in _MACHINERY else operation
