"""Walks over JSON tokens as they come; collects the values that masking must look at, each with its name and place."""

from typing import Final

from mypy_extensions import i64

from masking.byte_kinds import table_of
from masking.inline.json_text import decode_string, unescape
from masking.inline.values import MIN_SECRET_BYTES, NAMELESS, Name, ValueMasker
from masking.spans import stands_at

MAX_DEPTH: Final = 500
MAX_PLACE_CHARS: Final = 200
MAX_PATH_CHARS: Final = 1000
MAX_TOKENS: Final = 4096
MAX_TOKEN_BYTES: Final = 200
QUOTE: Final = 0x22
NUMBER: Final = b"-0123456789"
BOOLEAN: Final = b"tf"

_RARE_WORDS: Final = [b"null", b"Infinity", b"-Infinity", b"NaN"]
_BACKSLASH: Final = 0x5C
_NEAR_BYTES: Final = 48
_MINUS: Final = 0x2D
_NOWHERE: Final = 1 << 60  # beyond all data
_IS_BLANK: Final = 1  # each Final by itself: the compiled form then knows the number
_IS_MARK: Final = 2
_IS_QUOTE: Final = 3
_IN_NUMBER: Final = 4
_KINDS: Final = table_of(
    (_IS_BLANK, b" \t\r\n\x1e"),  # 1E comes before each text of application/json-seq
    (_IS_MARK, b"{}[],:"),
    (_IS_QUOTE, b'"'),
    (_IN_NUMBER, b"0123456789.eE+-"),
)
_BRACE: Final = 0x7B
_BRACKET: Final = 0x5B
_COMMA: Final = 0x2C
_COLON: Final = 0x3A


class Key:
    """What is known of a key's token. `is_plain`: it says nothing of its value, and is no secret itself. `after`: the
    key that came next the last time, as it mostly does again; only what is remembered by its token is linked so."""

    __slots__ = ("after", "is_plain", "is_telling", "name", "text", "token")

    def __init__(self, name: Name, token: bytes) -> None:
        self.token = token
        self.after: Key | None = None
        self.name = name
        self.text = name.text
        self.is_telling = name.named is not None
        self.is_plain = not (self.is_telling or name.is_column or name.is_suspect)


class Level:
    """One open object or array, or the top."""

    __slots__ = (
        "above",
        "expects_key",
        "is_object",
        "is_telling",
        "is_whole",
        "name",
        "parent",
        "path",
        "step",
        "top",
        "was_whole",
    )

    name: Name
    is_whole: bool
    is_telling: bool

    def __init__(self, parent: "Level | None", *, is_object: bool, top: str = "") -> None:
        self.parent = parent
        self.above: str | int = "" if parent is None else parent.step  # where in the parent this one stands
        self.top = top
        self.is_object = is_object
        self.expects_key = is_object
        self.step: str | int = "" if is_object else 0  # the key or index that the walk is at
        self.name = NAMELESS if parent is None or is_object else parent.name
        self.is_telling = parent is not None and not is_object and parent.is_telling  # by its name
        self.is_whole = parent is not None and parent.is_whole  # all of the value at hand goes
        self.was_whole = self.is_whole  # all that is in here does
        self.path = ""  # of keys alone, kept when the order has dotted patterns

    def place_at(self, step: str | int) -> str:
        """E.g. `$.orders[3].card`."""
        steps: list[str] = []
        level: Level = self
        while level.parent is not None:
            text = step if isinstance(step, str) else str(step)
            steps.append("." + text if level.is_object else "[" + text + "]")
            step = level.above
            level = level.parent
        steps.append(level.top)
        steps.reverse()
        return "".join(steps)[:MAX_PLACE_CHARS]


class Slot:
    """A value in the bytes at hand: where it stands, its first byte, and what is known of it."""

    __slots__ = ("_level", "_step", "end", "is_key", "is_whole", "kind", "start")

    def __init__(self, start: int, end: int, kind: int, level: Level, *, is_key: bool = False) -> None:
        self.start = start
        self.end = end
        self.kind = kind
        self.is_key = is_key
        self.is_whole = level.is_whole and not is_key
        self._level = level
        self._step = level.step

    def place(self) -> str:
        """Where it stands in the document."""
        if not self.is_key:
            return self._level.place_at(self._step)
        parent = self._level.parent
        return (parent.place_at(self._level.above) if parent is not None else "") + " (key)"


class Walk:
    """The state between pieces. After `go`, `slots`, `contents`, `names` and `wholes` tell the same values in order."""

    def __init__(self, values: ValueMasker, place: str, name: Name = NAMELESS) -> None:
        self._values = values
        self._level = Level(None, is_object=False, top=place)
        self._level.name = name
        self._level.is_telling = name.named is not None
        self._tokens = values.tokens
        self._has_paths = values.has_paths
        self._has_escapes = False
        self._depth = 0
        self._hits: list[int] | None = None
        self._hit = 0
        self._next_hit: i64 = 0
        self._last_key: Key | None = None
        self.forget()

    def forget(self) -> None:
        """The collected values have been seen to."""
        self.slots: list[Slot] = []
        self.contents: list[bytes] = []
        self.names: list[Name] = []
        self.wholes: list[bool] = []

    @property
    def expects_key(self) -> bool:
        """Whether a string here is a key."""
        return self._level.expects_key

    @property
    def is_whole(self) -> bool:
        """Whether all of the value at hand goes."""
        return self._level.is_whole

    @property
    def name(self) -> Name:
        """What is known of the value at hand by its key."""
        return self._level.name

    def place(self) -> str:
        """Where the walk is."""
        return self._level.place_at(self._level.step)

    def go(self, data: bytes, *, is_last: bool, hits: list[int] | None = None) -> int:
        """Take all whole tokens; how far that went. What stands there is cut off, or no JSON, or too deep.

        `hits`: where in `data` something may be found by content, rising: of strings without escapes, and of words,
        only those with a hit in them (or right behind) are collected, and those that a name tells.
        """
        position: i64 = 0
        end: i64 = 0
        size: i64 = len(data)
        kinds = _KINDS
        self._begin(data, hits)
        while position < size:
            first = data[position]
            kind = kinds[first]
            if kind == _IS_BLANK:
                position += 1
            elif kind == _IS_QUOTE:
                end = -1
                if self._level.expects_key:
                    end = self._take_known_key(data, position)
                if end < 0:
                    end = end_of_string(data, position)
                    if end < 0:
                        return position
                    self._take_string(data, position, end)
                position = end
            elif kind == _IS_MARK:
                if first == _COLON:
                    self._level.expects_key = False
                elif first == _COMMA:
                    self._step()
                elif not self._take_brace(first):
                    return position
                position += 1
            else:
                end = end_of_word(data, position)
                if end < 0 or (end == size and not is_last):  # a number may go on
                    return position
                self._take_word(data, position, end)
                position = end
        return position

    def _begin(self, data: bytes, hits: list[int] | None) -> None:
        self._hits = hits
        self._hit = 0
        self._next_hit = hits[0] if hits else _NOWHERE
        self._has_escapes = _BACKSLASH in data

    def _has_hit(self, start: i64, end: i64) -> bool:
        """Whether something may be found in data[start:end]. Asked in rising order."""
        hits = self._hits
        if hits is None:
            return True
        while self._next_hit < start:
            self._hit += 1
            self._next_hit = hits[self._hit] if self._hit < len(hits) else _NOWHERE
        return self._next_hit < end

    def enter_key(self, text: str) -> None:
        """The value that follows has this key."""
        self._enter(self._level, Key(self._values.name_of(text), b""))

    def _enter(self, level: Level, key: Key) -> None:
        level.step = key.text
        level.name = key.name
        level.is_telling = key.is_telling
        level.is_whole = level.was_whole
        if not key.is_plain and key.name.is_column:
            level.is_whole = True
        if self._has_paths:
            level.path = f"{self._path_above()}.{key.text}"[-MAX_PATH_CHARS:]
            level.is_whole = level.is_whole or self._values.is_path(level.path.removeprefix("."))

    def _path_above(self) -> str:
        level = self._level.parent
        while level is not None and not level.is_object:
            level = level.parent
        return level.path if level is not None else ""

    def _take_known_key(self, data: bytes, start: i64) -> i64:
        """Take the key at `start` when it is the one that came here the last time. Its end; -1: it is another."""
        last = self._last_key
        key = last.after if last is not None else None
        if key is None or not stands_at(data, start, key.token):
            return -1
        end = start + len(key.token)
        self._found_key(key, start, end)
        return end

    def _take_key(self, data: bytes, start: i64, end: i64) -> None:
        token = data[start:end]
        known = self._tokens.get(token)
        key = known if isinstance(known, Key) else self._learn(token)
        last = self._last_key
        if last is not None and end - start <= MAX_TOKEN_BYTES:
            last.after = key
        self._found_key(key, start, end)

    def _found_key(self, key: Key, start: i64, end: i64) -> None:
        level = self._level
        self._last_key = key
        self._enter(level, key)
        level.expects_key = False
        if not key.is_plain and key.name.is_suspect:
            self._add(Slot(start, end, QUOTE, level, is_key=True), unescape(key.token[1:-1]), NAMELESS)

    def _learn(self, token: bytes) -> Key:
        key = Key(self._values.name_of(decode_string(token)), token)
        if len(self._tokens) >= MAX_TOKENS:
            self._tokens.clear()
        if len(token) <= MAX_TOKEN_BYTES:
            self._tokens[token] = key
        return key

    def _take_string(self, data: bytes, start: i64, end: i64) -> None:
        level = self._level
        if level.expects_key:
            self._take_key(data, start, end)
            return
        is_telling = level.is_whole or level.is_telling
        if end - start - 2 < (1 if is_telling else MIN_SECRET_BYTES):
            return
        if not is_telling and not self._has_escapes and not self._has_hit(start, end):
            return
        content = data[start + 1 : end - 1]
        if self._has_escapes and _BACKSLASH in content:
            self._add(Slot(start, end, QUOTE, level), unescape(content), level.name)
        elif is_telling or self._has_hit(start, end):
            self._add(Slot(start, end, QUOTE, level), content, level.name)

    def _take_word(self, data: bytes, start: i64, end: i64) -> None:
        level = self._level
        first = data[start]
        if level.is_whole or level.is_telling:
            if first in NUMBER or (level.is_whole and first in BOOLEAN):
                self._add(Slot(start, end, first, level), data[start:end], level.name)
        elif end - start >= MIN_SECRET_BYTES and _KINDS[first] == _IN_NUMBER and self._has_hit(start, end + 1):
            self._add(Slot(start, end, first, level), data[start:end], level.name)

    def _add(self, slot: Slot, content: bytes, name: Name) -> None:
        self.slots.append(slot)
        self.contents.append(content)
        self.names.append(name)
        self.wholes.append(slot.is_whole)

    def _take_brace(self, mark: int) -> bool:
        """A brace or bracket. False: too deep."""
        if mark == _BRACE or mark == _BRACKET:
            if self._depth >= MAX_DEPTH:
                return False
            self._depth += 1
            self._level = Level(self._level, is_object=mark == _BRACE)
        elif self._level.parent is not None:
            self._depth -= 1
            self._level = self._level.parent
        return True

    def _step(self) -> None:
        level = self._level
        level.is_whole = level.was_whole
        if level.is_object:
            level.expects_key = True
        elif isinstance(level.step, int):
            level.step += 1


def end_of_string(data: bytes, start: i64) -> i64:
    """Where the string token that begins at `start` ends, behind its closing quote; -1: that has not come."""
    position: i64 = start + 1
    near: i64 = len(data)
    if near > start + _NEAR_BYTES:
        near = start + _NEAR_BYTES
    while position < near:  # most strings are short: a search takes longer to begin than to pass one
        byte = data[position]
        position += 1
        if byte == QUOTE:
            return position
        if byte == _BACKSLASH:
            break
    end: i64 = data.find(b'"', position)
    while end >= 0 and data[end - 1] == _BACKSLASH:
        before: i64 = end - 1
        while before > start and data[before] == _BACKSLASH:
            before -= 1
        if (end - before) % 2:  # an even count of backslashes: they escape each other
            return end + 1
        end = data.find(b'"', end + 1)
    return end + 1 if end >= 0 else -1


def end_of_word(data: bytes, start: i64) -> i64:
    """Where the number or word that begins at `start` ends; -1: there is none, or it is cut off."""
    position: i64 = start
    size: i64 = len(data)
    kinds = _KINDS
    if data[position] == _MINUS and position + 1 < size:
        position += 1
    if 0x30 <= data[position] <= 0x39:
        while position < size and kinds[data[position]] == _IN_NUMBER:
            position += 1
        return position
    if stands_at(data, start, b"true"):
        return start + 4
    if stands_at(data, start, b"false"):
        return start + 5
    for word in _RARE_WORDS:
        if stands_at(data, start, word):
            return start + len(word)
    return -1
