"""The policy file: whose log, which witnesses, and how many of them must have signed. Pure. c2sp.org/tlog-policy.

log <vkey> [<url>]
witness <name> <vkey> [<url>]
group <name> all|any|<k> <member> ...
quorum <name>|none
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.errors import ProofError
from sinks.transparency.note import COSIGNATURE, ED25519, Note, Verifier, cosigned_at, find_signature, parse_vkey

MAX_POLICY_BYTES: Final = 64 * 1024
NONE: Final = "none"
_MEMBER_NAME: Final = re.compile(r"\S{1,255}")


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness under the policy's name for it; `url` is the prefix of its add-checkpoint, or empty."""

    name: str
    key: Verifier
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    """Holds when `needed` of its members do."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. `log_keys` are all keys of the one log; `quorum` names a witness or group, or is "none"."""

    log_keys: tuple[Verifier, ...]
    witnesses: Mapping[str, Witness]
    groups: Mapping[str, Group]
    quorum: str

    @property
    def origin(self) -> str:
        return self.log_keys[0].name

    @property
    def is_witnessed(self) -> bool:
        """Whether it asks for any witness at all."""
        return self.quorum != NONE

    def is_met(self, signed: Sequence[str]) -> bool:
        """Whether these witnesses are enough."""
        return self.quorum == NONE or self._holds(self.quorum, frozenset(signed))

    def _holds(self, name: str, signed: frozenset[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in signed
        return sum(self._holds(member, signed) for member in group.members) >= group.needed


@dataclass(slots=True)
class _Draft:
    log_keys: list[Verifier] = field(default_factory=list)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = ""

    def add(self, words: Sequence[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) < 2:
                self.add_log(parse_vkey(vkey))
            case ["witness", name, vkey, *url] if len(url) < 2:
                self.require_new(name)
                key = parse_vkey(vkey)
                if key.algorithm != COSIGNATURE or any(key == other.key for other in self.witnesses.values()):
                    raise ProofError(f"witness {name}: not a cosigning key of its own")
                self.witnesses[name] = Witness(name, key, "".join(url))
            case ["group", name, needed, *members] if members:
                self.require_new(name)
                self.groups[name] = self.make_group(needed, members)
            case ["quorum", name] if not self.quorum:
                if name != NONE and name not in self.witnesses and name not in self.groups:
                    raise ProofError(f"quorum {name}: no witness or group above it has that name")
                self.quorum = name
            case _:
                raise ProofError(f"not understood: {' '.join(words)[:80]}")

    def add_log(self, key: Verifier) -> None:
        if key.algorithm != ED25519 or (self.log_keys and self.log_keys[0].name != key.name):
            raise ProofError("the keys of one log have one name, and sign plainly")
        self.log_keys.append(key)

    def require_new(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups or not _MEMBER_NAME.fullmatch(name):
            raise ProofError(f"the name {name[:80]} is taken")

    def make_group(self, needed: str, members: Sequence[str]) -> Group:
        """Members stand above their group, so groups cannot contain each other."""
        if len(set(members)) != len(members):
            raise ProofError("a group names a member twice")
        if missing := [name for name in members if name not in self.witnesses and name not in self.groups]:
            raise ProofError(f"no witness or group above it has the name {missing[0][:80]}")
        count = {"all": len(members), "any": 1}.get(needed, int(needed) if needed.isascii() and needed.isdigit() else 0)
        if not 1 <= count <= len(members):
            raise ProofError(f"a group of {len(members)} cannot need {needed[:20]}")
        return Group(count, tuple(members))


def parse_policy(text: str) -> Policy:
    """Raises ProofError, naming the line."""
    if len(text) > MAX_POLICY_BYTES:
        raise ProofError("a policy of more than 64 KiB")
    draft = _Draft()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            try:
                draft.add(words)
            except ProofError as error:
                raise ProofError(f"policy line {number}: {error}") from None
    if not draft.log_keys or not draft.quorum:
        raise ProofError("a policy needs a log and a quorum")
    return Policy(tuple(draft.log_keys), draft.witnesses, draft.groups, draft.quorum)


def format_policy(log_keys: Sequence[Verifier], witnesses: Sequence[Witness], needed: int) -> str:
    """A policy of one log and witnesses of which `needed` must sign; 0 asks for none."""
    members = {item.name: item for item in witnesses}
    groups = {"enough": Group(needed, tuple(members))} if needed else {}
    return encode_policy(Policy(tuple(log_keys), members, groups, "enough" if needed else NONE))


def encode_policy(policy: Policy) -> str:
    """A policy as text again."""
    lines = [f"log {key.vkey}" for key in policy.log_keys]
    lines += [f"witness {item.name} {item.key.vkey} {item.url}".rstrip() for item in policy.witnesses.values()]
    lines += [f"group {name} {item.needed} {' '.join(item.members)}" for name, item in policy.groups.items()]
    return "\n".join([*lines, f"quorum {policy.quorum}", ""])


def find_cosigners(note: Note, policy: Policy) -> dict[str, int]:
    """The policy's witnesses that signed a note, and when (seconds since the epoch). A bad one raises ProofError."""
    found = {}
    for name, witness in policy.witnesses.items():
        signature = find_signature(note, witness.key)
        if signature is not None:
            found[name] = cosigned_at(signature)
    return found
