"""What `@mask` on a policy says: `email, payment_card; columns=ssn, *_salary; typed=stand_in; unreadable=refuse`."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from policy.annotations import read_settings
from policy.model import MaskObligation, TypedMask, Unreadable

ALL: Final = "*"
KEYS: Final = ("columns", "typed", "unreadable")
MAX_NAMES: Final = 1000


def parse_mask(text: str) -> MaskObligation:
    """The obligation that an annotation's text means. Raises ValueError, which says what is wrong.

    First the labels (none, or `*`: all of them); then, behind semicolons and each at most once, `KEYS`.
    """
    head, *rest = text.split(";")
    labels: tuple[str, ...] = ()
    if "=" in head:
        rest.insert(0, head)
    else:
        labels = _names(head, "labels")
    given = read_settings("mask", rest, KEYS, f"labels and {', '.join(KEYS)}")
    return MaskObligation(
        () if ALL in labels else labels,
        _columns(given),
        TypedMask(_choice(given, "typed", TypedMask)),
        Unreadable(_choice(given, "unreadable", Unreadable)),
    )


def _names(text: str, what: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if len(names) > MAX_NAMES:
        raise ValueError(f"@mask: more than {MAX_NAMES} {what}")
    return names


def _columns(given: dict[str, str]) -> tuple[str, ...]:
    columns = _names(given.get("columns", ""), "columns")
    if "columns" in given and not columns:
        raise ValueError("@mask: columns= names none")
    return columns


def _choice(given: dict[str, str], key: str, choices: type[StrEnum]) -> str:
    """The value of a key, the first choice when it is not given."""
    allowed = [each.value for each in choices]
    value = given.get(key, allowed[0])
    if value not in allowed:
        raise ValueError(f"@mask: {key} is {' or '.join(allowed)}, not {value!r}")
    return value


def join_masks(masks: Iterable[MaskObligation]) -> MaskObligation | None:
    """All that these demand together, the stricter where they differ; None for none of them."""
    found = list(masks)
    if not found:
        return None
    has_all = any(not each.labels for each in found)
    return MaskObligation(
        () if has_all else tuple(dict.fromkeys(label for each in found for label in each.labels)),
        tuple(dict.fromkeys(column for each in found for column in each.columns)),
        TypedMask.NULL if any(each.typed is TypedMask.NULL for each in found) else TypedMask.STAND_IN,
        Unreadable.REFUSE if any(each.unreadable is Unreadable.REFUSE for each in found) else Unreadable.RELAY,
    )


def write_mask(mask: MaskObligation) -> str:
    """As `parse_mask` reads it, without what is so anyway."""
    parts = [", ".join(mask.labels) or ALL]
    if mask.columns:
        parts.append("columns=" + ", ".join(mask.columns))
    if mask.typed is not TypedMask.NULL:
        parts.append("typed=" + mask.typed.value)
    if mask.unreadable is not Unreadable.REFUSE:
        parts.append("unreadable=" + mask.unreadable.value)
    return "; ".join(parts)
