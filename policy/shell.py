"""What a shell command line does: bash's grammar (tree-sitter), quoting taken away, every command in it looked at.

Commands count wherever they stand: in pipelines, substitutions, functions, loops, here-documents of a shell. A command
whose name is computed, and text that a shell is given without our seeing it, could be anything: admin.
"""

import re
from typing import Final

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from policy.fingerprints import shape_of
from policy.model import Classified, ObjectAccess, Operation, worse
from policy.shell_arguments import HANDLERS
from policy.shell_commands import COMMANDS, STANDARD_DIRECTORIES, is_code_variable, write_operation
from policy.shell_readers import judge_options
from policy.shell_words import Word, read_word

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation
UNKNOWN: Final = Classified(_ADMIN, is_unknown=True)
MAX_CHARS: Final = 64 * 1024
MAX_DEPTH: Final = 6
"""Text within text: `sh -c "sh -c …"`."""
MAX_OBJECTS: Final = 200
_LANGUAGE: Final = Language(tree_sitter_bash.language())
_SHELLS: Final = frozenset("sh bash dash zsh ksh ash mksh fish rbash".split())
_EVALUATORS: Final = frozenset(
    "let declare typeset local export readonly unset read printf test [ mapfile wait".split()
)
_VERSION: Final = frozenset({"--version", "--help", "-V", "-h", "-version", "version", "help"})


def classify_shell(statement: str) -> Classified:
    """Classify a command line or a script. What bash's grammar does not take is unknown."""
    if len(statement) > MAX_CHARS or "\0" in statement:
        return UNKNOWN
    walk = _Walk(0)
    operation = walk.script(statement)
    is_unknown = walk.is_unknown or len(walk.objects) > MAX_OBJECTS
    return Classified(
        _ADMIN if is_unknown else operation,
        tuple(ObjectAccess(name, access) for name, access in list(walk.objects.items())[:MAX_OBJECTS]),
        "" if is_unknown else shape_of(walk.shape),
        is_multi=walk.statements > 1,
        is_unknown=is_unknown,
    )


class _Walk:
    """Goes through a script. It is the `Frame` that the handlers of single commands work with."""

    def __init__(self, depth: int) -> None:
        self.objects: dict[str, Operation] = {}
        self.shape: list[str] = []
        self.statements = 0
        self.is_unknown = False
        self._depth = depth
        self._functions: set[str] = set()
        self._reads_input = False

    # -- Frame

    def touch(self, path: str, access: Operation) -> Operation:
        """Note a path that is read or changed; what changing it does at worst."""
        if path and path not in ("-", "{}"):
            operation = write_operation(path, access) if access is not _READ else _READ
            if operation is not _READ or access is _READ:
                self.objects[path] = worse(self.objects.get(path, _READ), access)
            return operation
        return _READ if access is _WRITE else access

    def script(self, text: str) -> Operation:
        """What a text does that a shell runs."""
        self._depth += 1
        if self._depth > MAX_DEPTH or len(text) > MAX_CHARS:
            self.is_unknown = True
            return _ADMIN
        try:
            tree = Parser(_LANGUAGE).parse(text.encode("utf-8", "replace"))
            if tree.root_node.has_error:
                self.is_unknown = True
                return _ADMIN
            if self._depth == 1:
                parts = [child for child in tree.root_node.named_children if child.type != "comment"]
                self.statements = sum(2 if child.type == "list" else 1 for child in parts)  # a && b is a list
            return self._tree(tree.root_node)
        finally:
            self._depth -= 1

    def command(self, words: list[Word]) -> Operation:
        """What one command with its arguments does."""
        if not words:
            return _READ
        name, arguments = words[0], words[1:]
        if not name.is_static or name.has_glob or not name.text:
            self.is_unknown = True
            return _ADMIN
        directory, _, base = name.text.rpartition("/")
        operation = _READ if not directory or directory in STANDARD_DIRECTORIES else _EXECUTE
        self.shape.append(" ".join([base, *(word.text if word.is_option else "?" for word in arguments)]))
        self._reads_input |= base in _SHELLS and _reads_input(arguments)
        if base in _EVALUATORS and any("$(" in word.text or "`" in word.text for word in arguments if word.is_static):
            operation = _EXECUTE  # a subscript within is evaluated
        handler = HANDLERS.get(base)
        if handler is not None:
            return worse(operation, handler(self, arguments))
        known = COMMANDS.get(base)
        if known is None and base.startswith(("mkfs.", "fsck.")):
            known = _ADMIN
        if len(arguments) == 1 and arguments[0].text in _VERSION and not directory:
            return operation
        if known is None:
            return operation if name.text in self._functions else worse(operation, _EXECUTE)
        if known is _READ:
            operation = worse(operation, judge_options(self, arguments))
        return worse(operation, known, self._paths(base, known, arguments))

    def _paths(self, base: str, known: Operation, arguments: list[Word]) -> Operation:
        """The files a command is given, for those that are all about files."""
        if base not in _FILE_COMMANDS:
            return _READ
        paths = [word.text for word in arguments if not word.is_option and word.is_static]
        paths = paths[_FILE_COMMANDS[base] :]
        if any(word.text.startswith(("-t", "--target-directory")) for word in arguments) and base in _TARGETED:
            return worse(known, *(self.touch(path, known) for path in _with_values(arguments, paths)))
        if base in ("cp", "install", "ln") and len(paths) > 1:
            return worse(_READ, *(self.touch(path, _READ) for path in paths[:-1]), self.touch(paths[-1], _WRITE))
        return worse(_READ, *(self.touch(path, known) for path in paths))

    # -- the tree

    def _tree(self, root: Node) -> Operation:
        """Every node once. Iterative: depth is no limit."""
        operation = _READ
        nodes, stack = [], [root]
        while stack:
            node = stack.pop()
            nodes.append(node)
            stack.extend(node.children)
            if node.type == "function_definition" and (name := node.child_by_field_name("name")) is not None:
                self._functions.add((name.text or b"").decode("utf-8", "replace"))  # its body is looked at by itself
        for node in nodes:
            operation = worse(operation, self._node(node))
        return operation

    def _node(self, node: Node) -> Operation:
        match node.type:
            case "command":
                return self._command_node(node)
            case "declaration_command" | "unset_command" if not _evaluates(node):
                return self.command(
                    [read_word(child) for child in node.children if child.type != "variable_assignment"]
                )
            case "variable_assignment":
                return self._assignment(node)
            case "file_redirect":
                return self._redirect(node)
            case "redirected_statement" if _gives_nothing(node.child_by_field_name("body")):
                is_kept = _targets(node) <= {"/dev/null"}
                return _READ if is_kept or ">" not in _operators(node) else _DELETE  # `> file` empties it
            case "expansion":
                text = (node.text or b"").decode("utf-8", "replace")
                return _EXECUTE if text.endswith("@P}") else _READ  # a prompt is evaluated
            case "command_substitution" if (node.text or b"").startswith(b"`") and b"\\" in (node.text or b""):
                inner = (node.text or b"").decode("utf-8", "replace")[1:-1]
                return self.script(re.sub(r"\\([\\`$])", r"\1", inner))  # one level of quoting goes away first
            case "heredoc_redirect":
                return self._expanded(node)
            case "test_command" | "declaration_command" | "unset_command" if _evaluates(node):
                return _EXECUTE
            case "ERROR":
                self.is_unknown = True
                return _ADMIN
        return _READ

    def _command_node(self, node: Node) -> Operation:
        words = []
        for child in node.children:
            if child.type == "variable_assignment" or "redirect" in child.type:
                continue
            words.append(read_word(child))
        self._reads_input = False
        operation = self.command(words)
        if self._reads_input:
            operation = worse(operation, _EXECUTE, self._input_of(node))
        return operation

    def _input_of(self, node: Node) -> Operation:
        """What a shell does that reads its commands from its input: a here-document, a here-string, or a pipe."""
        parent: Node | None = node.parent
        found: list[Operation] = []
        if parent is not None and parent.type == "redirected_statement":
            for redirect in parent.children:
                if redirect.type == "heredoc_redirect":
                    found.append(self._heredoc(redirect))
                elif redirect.type == "herestring_redirect":
                    word = read_word(redirect.named_children[-1])
                    found.append(self.script(word.text) if word.is_static else _ADMIN)
            node, parent = parent, parent.parent
        for child in node.children:
            if child.type == "herestring_redirect":
                word = read_word(child.named_children[-1])
                found.append(self.script(word.text) if word.is_static else _ADMIN)
        if not found and parent is not None and parent.type == "pipeline":
            found.append(self._piped(parent, node))
        return worse(_ADMIN if not found else _READ, *found)

    def _heredoc(self, redirect: Node) -> Operation:
        body = next((child for child in redirect.children if child.type == "heredoc_body"), None)
        if body is None:
            return _ADMIN
        if any(child.type not in ("heredoc_content",) for child in body.named_children):
            return _ADMIN  # it is computed
        return self.script((body.text or b"").decode("utf-8", "replace"))

    def _expanded(self, redirect: Node) -> Operation:
        """What a here-document runs while it is put together. The grammar does not look into each of them."""
        start = next((child.text or b"" for child in redirect.children if child.type == "heredoc_start"), b"")
        body = next((child.text or b"" for child in redirect.children if child.type == "heredoc_body"), b"")
        if any(quote in start for quote in (b"'", b'"', b"\\")) or (b"$(" not in body and b"`" not in body):
            return _READ
        return self.script('echo "' + body.decode("utf-8", "replace").replace('"', " ") + '"')

    def _piped(self, pipeline: Node, node: Node) -> Operation:
        """The text of `echo '…' | sh`; anything else that is piped is not seen."""
        commands = [child for child in pipeline.named_children if child.type != "comment"]
        at = next((at for at, child in enumerate(commands) if child.id == node.id), 0)
        if at != 1 or commands[0].type != "command":
            return _ADMIN
        words = [read_word(child) for child in commands[0].children]
        if words[0].text not in ("echo", "printf") or not all(word.is_static for word in words):
            return _ADMIN
        text = " ".join(word.text for word in words[1:] if not word.is_option)
        return _ADMIN if "\\" in text or "%" in text else self.script(text)

    def _assignment(self, node: Node) -> Operation:
        name = node.child_by_field_name("name")
        value = node.child_by_field_name("value")
        label = (name.text or b"").decode("utf-8", "replace").partition("[")[0] if name is not None else ""
        if (
            label == "PATH"
            and value is not None
            and (value.text or b"").strip(b'"').startswith((b"$PATH:", b"${PATH}:"))
        ):
            return _READ
        return _EXECUTE if is_code_variable(label) else _READ

    def _redirect(self, node: Node) -> Operation:
        destination = node.child_by_field_name("destination")
        operators = _operators(node)
        if destination is None:
            return _READ
        word = read_word(destination)
        if destination.type == "number" or word.text == "-":
            return _READ  # another descriptor
        if destination.type == "process_substitution":
            return _READ
        is_write = any(">" in operator for operator in operators)
        if word.text.startswith(("/dev/tcp/", "/dev/udp/")):
            return _EXECUTE  # bash opens a connection
        return (
            self.touch(word.text, _WRITE if is_write else _READ) if word.is_static else (_WRITE if is_write else _READ)
        )


def _evaluates(node: Node) -> bool:
    """Whether a quoted text holds a substitution: a subscript or a number in it is evaluated all the same."""
    stack = list(node.children)
    while stack:
        child = stack.pop()
        if child.type in ("raw_string", "ansi_c_string") and (
            b"$(" in (child.text or b"") or b"`" in (child.text or b"")
        ):
            return True
        stack.extend(child.children)
    return False


def _operators(node: Node) -> set[str]:
    found = {child.type for child in node.children if not child.is_named}
    for child in node.children:
        if child.type == "file_redirect":
            found |= {inner.type for inner in child.children if not inner.is_named}
    return found


def _gives_nothing(body: Node | None) -> bool:
    """Whether a command that is redirected writes nothing by itself."""
    return body is None or (body.text or b"").strip() in (b":", b"true", b"cat /dev/null")


def _targets(node: Node) -> set[str]:
    """Where a statement's redirects lead."""
    found = (child.child_by_field_name("destination") for child in node.children if child.type == "file_redirect")
    return {read_word(each).text for each in found if each is not None}


def _with_values(arguments: list[Word], paths: list[str]) -> list[str]:
    """Paths, and those that `-t` and `--target-directory=` name in the same word."""
    attached = [
        word.text.removeprefix("--target-directory=").removeprefix("-t") for word in arguments if word.is_option
    ]
    return paths + [path for path in attached if path and not path.startswith("-")]


def _reads_input(arguments: list[Word]) -> bool:
    """Whether a shell with these arguments takes its commands from its input."""
    for word in arguments:
        if word.text in ("-s", "-"):
            return True
        if not word.is_option or word.text.startswith("--"):
            return word.text.startswith("--") and word.text not in _VERSION and word is arguments[-1]
        if "c" in word.text:
            return False
    return True


_TARGETED: Final = frozenset({"cp", "mv", "install", "ln"})
# The commands whose arguments are files, and how many arguments come before those.
_FILE_COMMANDS: Final = {
    **dict.fromkeys(
        "cat tac head tail less more wc stat file nl od strings md5sum sha256sum rm rmdir unlink shred mv touch mkdir"
        " cp install ln mkfifo truncate srm".split(),
        0,
    ),
    **dict.fromkeys("grep egrep fgrep chmod chown chgrp".split(), 1),
}
