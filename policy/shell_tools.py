"""Tools with sub-commands: containers, clusters, clouds, services, packages; and the table of all tools."""

import re
from typing import Final

from policy.model import Operation, worse
from policy.shell_clients import CLIENTS
from policy.shell_git import run_git
from policy.shell_options import VERSION, Frame, Handler, has_option, make_table, split_options
from policy.shell_readers import judge_options
from policy.shell_words import Word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation


def _verbs(
    table: dict[str, Operation], *, values: str = "", otherwise: Operation = _EXECUTE, depth: int = 1
) -> Handler:
    """By the first words that the table has; `depth`: how many words are looked at, the last that counts wins."""

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        words, options = split_options(arguments, values)
        if not words:
            return _READ if options and all(option.text in VERSION for option in options) else otherwise
        found = [table[word.text] for word in words[:depth] if word.text in table]
        if not found and not words[0].is_static:
            return worse(otherwise, _EXECUTE)
        return worse(_READ, *found) if found else otherwise

    return handle


_DOCKER: Final = make_table(
    {
        _READ: (
            "ps images logs inspect version info stats top port diff history search events ls list df config show"
            " tail context help"
        ),
        _WRITE: (
            "pull push tag save load import export create rename login logout cp commit network volume image container"
            " system"
        ),
        _DELETE: "rm rmi prune remove down",
        _EXECUTE: "run exec build start up compose buildx stack service swarm attach plugin debug",
        _ADMIN: "stop kill restart pause unpause update node",
    }
)


_DOCKER_GROUPS: Final = frozenset(
    "compose container image network volume system stack service node swarm context builder buildx plugin".split()
)


def _docker(frame: Frame, arguments: list[Word]) -> Operation:
    words, _ = split_options(arguments, "-H --host -c --context -l --log-level --config -f --file -p --project-name")
    texts = [word.text for word in words]
    if not texts:
        return _READ
    group = texts[0] in _DOCKER_GROUPS
    verb = texts[1] if group and len(texts) > 1 else texts[0]
    if verb == "create" and texts[0] in ("network", "volume"):
        return _WRITE
    if group and len(texts) == 1:
        return _READ
    return _DOCKER.get(verb, _EXECUTE)


_KUBECTL: Final = make_table(
    {
        _READ: (
            "get describe logs top explain api-resources api-versions version cluster-info diff wait events options"
            " help completion kustomize"
        ),
        _WRITE: "create label annotate scale autoscale expose set patch edit replace rollout apply",
        _DELETE: "delete",
        _EXECUTE: "exec attach cp run debug port-forward proxy plugin krew",
        _ADMIN: "drain cordon uncordon taint certificate",
    }
)
_RBAC: Final = re.compile(r"(?i)^(?:cluster)?rolebindings?|^(?:cluster)?roles?(?:$|/)|^serviceaccounts?|^sa$|^csr")
_KUBE_VALUES: Final = (
    "-n --namespace --context --cluster --kubeconfig -s --server -l --selector -o --output -f --filename -c --container"
    " --as --as-group --token --user -p --patch --type"
)


def _kubectl(frame: Frame, arguments: list[Word]) -> Operation:
    words, options = split_options(arguments, _KUBE_VALUES)
    least = _EXECUTE if has_option(options, "--as", "--as-group", "--token") else _READ
    texts = [word.text for word in words]
    if not texts:
        return least
    verb, rest = texts[0], texts[1:]
    operation = _KUBECTL.get(verb, _EXECUTE)
    if verb == "config":
        operation = (
            _READ if rest[:1] and rest[0] in ("view", "get-contexts", "current-context", "get-clusters") else _WRITE
        )
        operation = _EXECUTE if rest[:1] == ["set-credentials"] else operation
    elif verb == "auth":
        operation = _READ if rest[:1] in (["can-i"], ["whoami"]) else _GRANT
    elif verb == "rollout":
        operation = _READ if rest[:1] in (["status"], ["history"]) else _WRITE
    elif verb in ("apply", "create", "replace", "patch", "edit", "set", "delete") and any(
        _RBAC.match(each) for each in rest[:2]
    ):
        operation = worse(operation, _GRANT)
    elif verb in ("apply", "create", "replace") and has_option(
        options, "-f", "--filename", "-k", "--kustomize", "--raw"
    ):
        operation = _EXECUTE  # a manifest that is not seen: it may hold workloads and rights
    if has_option(options, "--dry-run") and not any(option.text == "--dry-run=none" for option in options):
        operation = _READ
    return worse(least, operation)


_CLOUD_VERBS: Final = (
    (
        re.compile(
            r"^(?:describe|list|get|ls|show|search|lookup|help|view|status|head|query|scan|batch-get|filter|print)"
        ),
        _READ,
    ),
    (re.compile(r"^(?:delete|remove|terminate|destroy|rm|rb|purge|empty|deregister|drop|undelete)"), _DELETE),
    (
        re.compile(
            r"assume-role|get-session-token|ssh|ssm|invoke|exec|send-command|start-session|run-command|login|sso"
        ),
        _EXECUTE,
    ),
)


def _cloud(frame: Frame, arguments: list[Word]) -> Operation:
    """aws, gcloud, az and their kind: by the verb; rights by the group."""
    words, options = split_options(
        arguments, "--profile --region --output --query --project --zone -o -g --endpoint-url"
    )
    texts = [word.text for word in words]
    if not texts:
        return _READ
    operation = next((found for text in texts[1:4] for pattern, found in _CLOUD_VERBS if pattern.search(text)), _WRITE)
    if re.search(
        r"assume-role|get-session-token|invoke|send-command|start-session|run-command|^ssh$|^login$",
        " ".join(texts[:4]),
    ):
        return _EXECUTE
    if operation is not _READ and re.search(
        r"(?:^| )iam|policy|role|permission|identity|credential|secret|kms|keyvault", " ".join(texts[:3])
    ):
        operation = worse(operation, _GRANT)
    if (texts[0] == "s3" and texts[1:2] in (["mv"],)) or has_option(options, "--delete"):
        operation = worse(operation, _DELETE)
    if operation is not _READ and re.search(
        r"stop-|reboot|shutdown|modify-db|organizations|cloudtrail|guardduty", " ".join(texts[:3])
    ):
        operation = _ADMIN
    return operation


_PACKAGES: Final = make_table(
    {
        _READ: (
            "list show search info view outdated ls check policy depends rdepends freeze config why audit help deps"
            " tree version home desc leaves doctor"
        ),
        _EXECUTE: "",
    }
)
_PACKAGE_DELETES: Final = make_table({_ADMIN: "remove purge autoremove uninstall rm clean autoclean cleanup prune"})


def _packages(table: dict[str, Operation], otherwise: Operation = _EXECUTE) -> Handler:
    """A package manager: some verbs read alone and change something with words after them."""
    by_verb = _verbs(table, otherwise=otherwise)

    def handle(frame: Frame, arguments: list[Word]) -> Operation:
        texts = [word.text for word in split_options(arguments, "")[0]]
        if texts[:1] == ["config"] and texts[1:2] and texts[1] not in ("list", "ls", "get", "debug"):
            return otherwise
        if texts[:1] in (["audit"], ["version"]) and len(texts) > 1:
            return otherwise
        return by_verb(frame, arguments)

    return handle


def _go(frame: Frame, arguments: list[Word]) -> Operation:
    if any(re.match(r"-(?:w|u|toolexec|exec|overlay|modfile|vettool)(?:=|$)", word.text) for word in arguments):
        return _EXECUTE
    return _verbs(make_table({_READ: "version env list doc help"}))(frame, arguments)


def _helm(frame: Frame, arguments: list[Word]) -> Operation:
    by_verb = _verbs(_HELM, values="-n --namespace --kube-context")
    return worse(by_verb(frame, arguments), judge_options(frame, arguments))


def _gsutil(frame: Frame, arguments: list[Word]) -> Operation:
    """Its verbs come first; otherwise it is one of the clouds'."""
    words, options = split_options(arguments, "-h -o -u")
    verb = words[0].text if words else "help"
    if verb in ("cat", "du", "hash", "version"):
        return _READ
    if verb == "mv" or (verb == "rsync" and has_option(options, "-d")):
        return _DELETE
    return _cloud(frame, [Word("gsutil"), *arguments])


_TERRAFORM: Final = make_table(
    {
        _READ: "plan show output validate version providers graph help list",
        _WRITE: "fmt get lock mirror",
        _ADMIN: "apply destroy import taint untaint force-unlock refresh init login",
    }
)
_HELM: Final = make_table(
    {
        _READ: "list ls status get history template search show lint version env verify help",
        _WRITE: "repo package pull push create dependency registry",
        _DELETE: "uninstall delete del",
        _EXECUTE: "install upgrade rollback test plugin",
    }
)
_SYSTEMCTL: Final = make_table(
    {
        _READ: (
            "status show cat list-units list-unit-files list-timers list-sockets list-dependencies is-active is-enabled"
            " is-failed is-system-running get-default help list-jobs"
        )
    }
)
_GH: Final = make_table(
    {
        _READ: "list view status diff checks browse search watch",
        _WRITE: (
            "create edit comment close reopen merge fork clone sync checkout review lock unlock pin release upload"
            " download rename"
        ),
        _DELETE: "delete remove archive",
        _EXECUTE: "api run workflow auth extension alias codespace secret ssh-key gpg-key variable rerun",
    }
)
_BREW: Final = {**_PACKAGES, **_PACKAGE_DELETES}

TOOLS: Final[dict[str, Handler]] = {
    **CLIENTS,
    "git": run_git,
    "docker": _docker,
    "podman": _docker,
    "nerdctl": _docker,
    "docker-compose": _verbs(_DOCKER, values="-f -p"),
    "kubectl": _kubectl,
    "oc": _kubectl,
    "k3s": _kubectl,
    "aws": _cloud,
    "gcloud": _cloud,
    "az": _cloud,
    "gsutil": _gsutil,
    "doctl": _cloud,
    "terraform": _verbs(_TERRAFORM, otherwise=_ADMIN, depth=2),
    "tofu": _verbs(_TERRAFORM, otherwise=_ADMIN, depth=2),
    "helm": _helm,
    "systemctl": _verbs(_SYSTEMCTL, otherwise=_ADMIN, values="-n -t --type -p"),
    "gh": _verbs(_GH, depth=2),
    "apt": _packages(_BREW, otherwise=_ADMIN),
    "apt-get": _packages(_BREW, otherwise=_ADMIN),
    "yum": _packages(_BREW, otherwise=_ADMIN),
    "dnf": _packages(_BREW, otherwise=_ADMIN),
    "brew": _packages(_BREW, otherwise=_ADMIN),
    "apk": _packages(_BREW, otherwise=_ADMIN),
    "aptitude": _packages(_BREW, otherwise=_ADMIN),
    "snap": _packages(_BREW, otherwise=_ADMIN),
    "pip": _packages(_PACKAGES),
    "pip3": _packages(_PACKAGES),
    "uv": _packages(_PACKAGES),
    "npm": _packages(_PACKAGES),
    "yarn": _packages(_PACKAGES),
    "pnpm": _packages(_PACKAGES),
    "conda": _packages(_PACKAGES),
    "go": _go,
    "cargo": _verbs(make_table({_READ: "tree search version metadata help"})),
    "pgbench": _verbs({}),
    "dropdb": _verbs({}, otherwise=_DDL),
    "createdb": _verbs({}, otherwise=_DDL),
    "createuser": _verbs({}, otherwise=_GRANT),
    "dropuser": _verbs({}, otherwise=_GRANT),
    "pg_dump": _verbs({}, otherwise=_WRITE),
    "mysqldump": _verbs({}, otherwise=_WRITE),
}
