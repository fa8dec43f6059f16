"""Puts the modules that verify evidence into one file that needs Python and `cryptography`, and nothing of Custody."""

import ast
import re
from typing import Final

from schemas.native import source_of

MODULES: Final = (
    "merkle",
    "note",
    "leaf",
    "quorum",
    "avro",
    "orders",
    "audit",
    "hold_evidence",
    "proof",
    "key_chain",
    "evidence",
)
"""Of sinks.transparency, in the order of their imports."""

TYPE_PARAMETERS: Final = re.compile(r"^( *def \w+)\[[^\]\n]*\]\(", re.MULTILINE)
"""Syntax that Python 3.11 does not have. Annotations are not evaluated, so nothing else asks for what it names."""

HEAD: Final = '''#!/usr/bin/env python3
"""Verifies a file of Custody evidence, offline: `python verify.py EVIDENCE.zip [--policy FILE]`.

Needs Python 3.11 or newer and the package `cryptography`. Exit code 0: everything holds; 1: a violation was found; 2:
it could not be decided (the file is damaged, or the quorum of witnesses has not signed). Do not trust the copy that
came with the evidence: take this file from somebody you trust, or read it, and say with --policy whose log and which
witnesses you believe.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    print("cannot decide: this needs Python 3.11 or newer", file=sys.stderr)
    sys.exit(2)

try:
    import cryptography
except ImportError:
    print("cannot decide: this needs the package `cryptography`", file=sys.stderr)
    sys.exit(2)


class ProofError(Exception):
    """A proof, checkpoint or leaf does not verify, or is malformed."""

'''

TAIL: Final = '''

def main(arguments):
    """The exit code."""
    import argparse
    import time

    parser = argparse.ArgumentParser(description="Verify a file of Custody evidence.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--policy", type=Path, help="tlog-policy of the log and the witnesses that you trust")
    options = parser.parse_args(arguments)
    try:
        trusted = options.policy.read_text("utf-8") if options.policy else ""
        report = verify_evidence(options.file, time.time_ns() // 1000, trusted)
    except (ProofError, OSError, UnicodeDecodeError) as error:
        print(f"cannot decide: {error}", file=sys.stderr)
        return 2
    print("\\n".join(describe_report(report)))
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def make_verifier() -> str:
    """The source of verify.py. Raises RuntimeError when two modules claim one name."""
    imports: set[str] = set()
    parts: list[str] = []
    owners: dict[str, str] = {}
    for name in MODULES:
        source = source_of(f"sinks.transparency.{name}").read_text("utf-8")
        tree = ast.parse(source)
        for defined in _defined_names(tree):
            if owners.setdefault(defined, name) != name:
                raise RuntimeError(f"{name} and {owners[defined]} both define {defined}")
        imports |= _outer_imports(tree)
        parts.append(f"\n# ---- {name}\n{_without_imports(source, tree)}")
    return HEAD + "\n".join(sorted(imports)) + "\n" + "".join(parts) + TAIL


def _is_own(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("sinks", "schemas")


def _outer_imports(tree: ast.Module) -> set[str]:
    return {
        ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) and not _is_own(node)
    }


def _defined_names(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _without_imports(source: str, tree: ast.Module) -> str:
    """The module without its imports; its docstring becomes a bare string, which does no harm."""
    lines = source.splitlines()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and node.end_lineno is not None:
            for number in range(node.lineno - 1, node.end_lineno):
                lines[number] = ""
    text = "\n".join(lines)
    text = TYPE_PARAMETERS.sub(r"\1(", text)
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text + "\n"
