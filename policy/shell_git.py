"""What git does at worst, by its sub-commands. Pagers, hooks, filters and aliases are commands."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from policy.model import Operation, worse
from policy.shell_options import Frame, has_option, make_table, split_options
from policy.shell_words import Word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation


_GIT: Final = make_table(
    {
        _READ: (
            "status log diff show blame annotate shortlog describe rev-parse rev-list ls-files ls-tree ls-remote"
            " cat-file name-rev merge-base whatchanged grep reflog count-objects fsck verify-commit verify-tag"
            " check-ignore check-attr for-each-ref show-ref show-branch cherry range-diff diff-tree diff-index"
            " diff-files var version help archive get-tar-commit-id"
        ),
        _WRITE: (
            "add commit merge pull fetch clone init mv cherry-pick revert am apply format-patch switch bundle"
            " update-index write-tree commit-tree hash-object read-tree rerere pack-objects repack bugreport"
            " maintenance sparse-checkout mergetool"
        ),
        _DELETE: "rm clean reset restore checkout gc prune filter-branch filter-repo",
        _EXECUTE: (
            "difftool daemon instaweb web--browse send-email svn p4 request-pull credential shell upload-pack gui gitk"
        ),
    }
)
_GIT_VALUES: Final = "-C -c --git-dir --work-tree --namespace --exec-path --super-prefix"


def run_git(frame: Frame, arguments: list[Word]) -> Operation:
    at, least = 0, _READ
    while at < len(arguments) and arguments[at].is_option:
        word = arguments[at].text
        if word.startswith(("-c", "--config-env", "--exec-path=")) or word == "--exec-path":
            least = _EXECUTE  # pagers, hooks and aliases are commands
        if word in ("--version", "--help"):
            return _READ
        at += 2 if word in _GIT_VALUES.split() else 1
    if at >= len(arguments):
        return least
    verb, rest = arguments[at], arguments[at + 1 :]
    words, options = split_options(rest, "-m -F -b -B")
    own = _GIT_ARGUMENTS.get(verb.text)
    if not verb.is_static:
        return _EXECUTE
    if own is not None:
        return worse(least, own([word.text for word in words], options))
    if verb.text == "grep" and any(re.match(r"-[a-zA-Z]*O", option.text) for option in options):
        least = _EXECUTE
    if verb.text in ("log", "diff", "show", "archive", "format-patch") and has_option(options, "--output", "-o", "-O"):
        least = worse(least, _WRITE)
    if has_option(
        options, "--ext-diff", "--upload-pack", "--receive-pack", "--exec", "-u", "--open-files-in-pager", "-x"
    ):
        if verb.text in ("fetch", "clone", "pull", "ls-remote", "archive", "grep", "diff", "log", "show"):
            least = _EXECUTE
    if any(word.text.startswith("ext::") for word in words):
        least = _EXECUTE
    return worse(least, _GIT.get(verb.text, _EXECUTE))  # what is no built-in is an alias or a program


def _git_push(words: list[str], options: Sequence[Word]) -> Operation:
    if has_option(options, "--receive-pack", "--exec") or any(word.startswith("ext::") for word in words):
        return _EXECUTE
    is_forced = has_option(options, "-f", "--force", "--force-with-lease", "-d", "--delete", "--mirror", "--prune")
    return _DELETE if is_forced or any(word.startswith((":", "+")) for word in words) else _WRITE


def _git_branch(words: list[str], options: Sequence[Word]) -> Operation:
    if has_option(options, "-d", "-D", "--delete", "-M", "-f", "--force"):
        return _DELETE
    is_list = has_option(
        options, "-a", "-r", "-v", "-vv", "-l", "--list", "--show-current", "--contains", "--merged", "--no-merged"
    )
    return _READ if is_list or not words else _WRITE


def _git_checkout(words: list[str], options: Sequence[Word]) -> Operation:
    """Files are overwritten; a branch is only changed to."""
    if has_option(options, "-b", "--orphan", "--track", "-t") and not has_option(options, "-f", "--force", "-B"):
        return _WRITE
    is_branch = (
        len(words) == 1 and words[0] not in (".", "HEAD") and not has_option(options, "-f", "--force", "--", "-p", "-B")
    )
    return _WRITE if is_branch and "." not in words[0].rpartition("/")[2] else _DELETE


def _git_reset(words: list[str], options: Sequence[Word]) -> Operation:
    return _DELETE if has_option(options, "--hard", "--merge", "--keep") else _WRITE


def _git_clean(words: list[str], options: Sequence[Word]) -> Operation:
    return _READ if any(option.text in ("-n", "--dry-run", "-nd", "-dn") for option in options) else _DELETE


def _git_config(words: list[str], options: Sequence[Word]) -> Operation:
    if has_option(options, "-l", "--list", "--get", "--get-all", "--get-regexp", "--show-origin") or words[:1] in (
        ["list"],
        ["get"],
    ):
        return _READ
    if has_option(options, "-e", "--edit"):
        return _EXECUTE
    name = next((word.lower() for word in words if "." in word), "")
    if re.match(
        r"alias\.|core\.(?:pager|editor|sshcommand|hookspath|fsmonitor|gitproxy|askpass)|.*\.(?:cmd|command|program|helper|"
        r"textconv|driver|clean|smudge|process|tool|external|upload|receivepack|uploadpack)$|pager\.|credential",
        name,
    ):
        return _EXECUTE
    is_read = len(words) == 1 and not has_option(
        options, "--unset", "--unset-all", "--add", "--replace-all", "--remove-section"
    )
    return _READ if is_read else _WRITE


def _git_listing(*reads: str, deletes: str = "") -> Callable[[list[str], Sequence[Word]], Operation]:
    def handle(words: list[str], options: Sequence[Word]) -> Operation:
        first = words[0] if words else ""
        if first in deletes.split() or has_option(options, "-d", "-D", "--delete"):
            return _DELETE
        if not words:
            return _READ if "" in reads else _WRITE
        return _READ if first in reads or has_option(options, "-l", "--list") else _WRITE

    return handle


def _git_symbolic_ref(words: list[str], options: Sequence[Word]) -> Operation:
    return _DELETE if has_option(options, "-d", "--delete") else _WRITE if len(words) > 1 else _READ


def _git_submodule(words: list[str], options: Sequence[Word]) -> Operation:
    first = words[0] if words else "status"
    return {"status": _READ, "summary": _READ, "foreach": _EXECUTE, "deinit": _DELETE}.get(first, _WRITE)


_GIT_ARGUMENTS: Final = {
    "push": _git_push,
    "branch": _git_branch,
    "checkout": _git_checkout,
    "reset": _git_reset,
    "clean": _git_clean,
    "config": _git_config,
    "submodule": _git_submodule,
    "tag": _git_listing("", deletes=""),
    "stash": _git_listing("list", "show", deletes="drop clear"),
    "remote": _git_listing("", "show", "get-url", "-v", deletes="remove rm prune"),
    "worktree": _git_listing("list", deletes="remove prune"),
    "reflog": _git_listing("", "show", "exists", "list", "HEAD", deletes="expire delete"),
    "bisect": lambda words, options: _EXECUTE if words[:1] == ["run"] else _READ if words[:1] == ["log"] else _WRITE,
    "rebase": lambda words, options: (
        _EXECUTE if has_option(options, "-x", "--exec", "-i", "--interactive") else _DELETE
    ),
    "update-ref": _git_listing(),
    "replace": _git_listing(""),
    "notes": _git_listing("", "list", "show", deletes="remove prune"),
    "symbolic-ref": _git_symbolic_ref,
    "lfs": _git_listing("ls-files", "status", "env", "version", deletes="prune"),
}
