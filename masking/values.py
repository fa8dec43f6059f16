"""What a value must look like to be taken for what its name says: each shape gives the part to mask, or None.

A shape looks at one value without its quotes (bytes) and returns (start, end) offsets in it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from masking.model import Hit

Shape = Callable[[bytes], tuple[int, int] | None]

MAX_VALUE_BYTES: Final = 1 << 16  # what is longer under a telling name is masked whole, without a look at its shape
AUTH_SCHEME: Final = re.compile(
    rb"(?i)\s*(?:bearer|basic|token|digest|negotiate|ntlm|apikey|api-key|aws4-hmac-sha256|dpop|hawk|ssws|genie ?key|key"
    rb"|sharedkey|splunk|oauth|pve\w+token|bot|jwt|splunk|session|apitoken)\s+(?=\S)"
)
_SCHEME_ALONE: Final = re.compile(
    rb"(?i)(?:bearer|basic|token|digest|negotiate|ntlm|apikey|api-key|sharedkey|oauth|dpop|hawk|bot|jwt)[=:]?"
)
# What stands where a secret would, and is none: bind parameters, templates, references, type names, empty values.
_PLACEHOLDER: Final = re.compile(
    rb"(?i)(?:null|nil|none|undefined|true|false|yes|no|on|off|default|\(?(?:null|none|empty|hidden|unset|redacted|masked"
    rb"|unknown|blank|not set|secret|sensitive(?: value)?|known after apply|encrypted|undefined|n/?a|binary data)\)?"
    rb"|\$\d+|\?\d*|%s|%\(?\w+\)?[sd%]|[:@$]\w+"
    rb"|[`\"']?\$\(.*|\$\{.*\}?|\$\[.*\]|\$env:\w+|\{\{.*|<%.*|\{\w*\}|<[^<>]*>|\[[A-Za-z_ -]*\]|[*\xb7.#_-"
    rb"]{2,}|\*+|x{3,}|-+"
    rb"|(?:\xe2\x80\xa2)+|(?:\xe2\x97\x8f)+|#\{.*|\#\{.*|@@\w+@@|__\w+__|\(\(.*\)\)|%\w+%"
    rb"|str(?:ing)?|int(?:eger)?|text|varchar(?:\(\d+\))?|char(?:\(\d+\))?|bool(?:ean)?|bytea?s?|uuid|any|object|number|optional|required"
    rb"|function|self|this|empty|todo|tbd|fixme|dummy|sample|example|placeholder|change[-_ ]?(?:me|this|it)"
    rb"[!]*|change-?in-?prod\w*"
    rb"|replace[-_ ]?(?:me|this|with.*)|insert[-_ ].*[-_ ]here|(?:your|my|some|the|an?|insert|enter|put|add"
    rb")[-_ ][a-z_ -]*\d?|.*[-_ ]?(?:goes[-_ ]?)?here"
    rb"|xxx.*|.*\.\.\.|.*\xe2\x80\xa6|redacted.*|\[?(?:redacted|filtered|masked|removed|hidden|protected|omitted|sensitive|scrubbed)\]?|foo|bar|baz|foobar"
    rb"|not[-_ ]?(?:a[-_ ])?(?:real|set|used|needed|required|applicable|available).*|fake[-_ ].*|dummy[-_ ]"
    rb".*|example[-_ ].*|test[-_ ]?(?:key|token|secret)"
    rb"|(?:env|secrets?|vars?|os|process|import|std|System|data|local|config|settings|os\.environ|process\.env|params?|args?|opts?|options|self|this|req|request|ctx|event"
    rb"|credentials|creds|user|account|props|kwargs|module|each|var)(?:\.\w+|\[[^\]]*\])+(?:\(.*)?"
    rb"|vault:.*|arn:aws.*|projects/[\w-]+/secrets/.*|op://.*|sm://.*|ssm:.*|secretsmanager:.*|aws-secretsmanager.*|keyvault:.*|gcp-secret.*|file:.*|env:.*"
    rb"|@microsoft\.keyvault.*|\{(?:aes|cipher|env|ssm)\b.*|!(?:ref|sub|getatt|secret|vault|env)\b.*|enc\[.*|resolve:.*|ref\+.*|secretref:.*"
    rb"|requerid[oa]|obligatori[oa]|obligatoire|erforderlich|pflichtfeld|vereist|wymagane"
    rb"|\xd0\xb2\xd0\xb2\xd0\xb5\xd0\xb4\xd0\xb8.*"
    rb"|prompt|stdin|interactive|-|~|\\|\"\"|''|=|==|enabled|disabled|invalid|expired|missing|valid|wrong|incorrect|changed|reset|updated|ok|failed|success"
    rb"|range|return|if|else|then|when|while|do|done|fi|end|begin|select|lambda"
    rb"|must|should|cannot|can|may|is|was|are|were|has|had|will|for|and|or|of|to|in|at|by|with|from|the|field|hash|authentication|auth|md5|sha\d*|bcrypt"
    rb"|argon2(?:id|i)?|scrypt|plain(?:text)?|scram-sha-256|peer|trust|ident|base64|hex|utf-?8|publickey|keyboard-interactive|gssapi[\w-]*|new|old|current)"
)
_SENTENCE: Final = re.compile(
    rb"(?i)\b(?:must|should|invalid|required|please|your|cannot|can't|enter|at least|incorrect|expired|wron"
    rb"g|missing|does|doesn't|is not"
    rb"|not match|failed|you|we|this|has been|have been|will be|contains?|minimum|characters?|forgot|reset|"
    rb"successfully|changed|provided)\b"
)
_UUID: Final = re.compile(rb"(?i)\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?")
_REFERENCE: Final = re.compile(
    rb"[a-z]{2,12}(?:\.[A-Za-z][A-Za-z0-9_$]{1,40}){2,}(?:[@/:][A-Za-z0-9_.]{1,16})?"  # com.example.Thing@1f2e
    rb"|(?:https?|wss?|file|s3|gs|git|ssh|urn)[:.][^@]*|\.{0,2}/(?:[A-Za-z0-9_.@-]+/)*[A-Za-z0-9_.-]{0,40}|[A-Za-z]:\\.*|~/.*"
    rb"|[\w./-]+\.(?:pem|key|crt|json|ya?ml|txt|env|conf|cfg|ini|toml|pub|p12|pfx|jks|kdbx?|py|js|ts|go|rb|java|sh|md|html?|css|svg|png)"
)
_WORDS: Final = re.compile(rb"(?i)[a-z]+(?:[-_. /:][a-z]+)*")
_CAMEL: Final = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_DIGEST: Final = re.compile(
    rb"(?i)(?:sha-?(?:1|224|256|384|512)|md5|blake2[bs]?|h1|zh)[:-]"
)  # an algorithm's name before its sum
# Pieces of programs: a regular expression, a type with parameters, what follows a closed string (`" + key, …`).
_CODE_TEXT: Final = re.compile(
    rb"\(\?[:=!<iPsm]|\[(?:a-z|A-Z|0-9)|\\[wdsSW][+*{)\]]|\A(?:Optional|Union|List|Dict|Tuple|Sequence|Callable)\["
    rb"|\A[+.] ?[A-Za-z_][\w.]*[,);\]\s]"
)
_PASSPHRASE: Final = re.compile(rb"(?i)[a-z]{3,12}(?:([-_.])[a-z]{3,12})(?:\1[a-z]{3,12}){2,}")
_ANY_DIGIT: Final = re.compile(rb"[0-9]")
_ANY_LETTER: Final = re.compile(rb"[A-Za-z]")
_ANY_DIGIT_OR_SIGN: Final = re.compile(rb"[0-9!@#$%^&*]")
_CALL: Final = re.compile(rb"[\w.$]+(?:::\w+)*\((?:.*)|new [A-Z]\w*.*|await .*|lambda .*|function\b.*|async .*")
_DIGITS: Final = re.compile(rb"[\d \-./]{3,40}")
_IBAN: Final = re.compile(rb"[A-Za-z]{2}\d{2}[A-Za-z0-9 \-]{8,40}")
_ID: Final = re.compile(rb"(?i)(?=(?:[^\d]*\d){3})[A-Z0-9](?:[ ./+()-]?[A-Z0-9]){3,27}\)?")
_PHONE: Final = re.compile(rb"(?i)(?=(?:\D*\d){6,16}\D*\Z)[+(\d][\d ()./+-]{4,28}\d(?:\s?(?:x|ext\.?|#)\s?\d{1,6})?")
_ACCOUNT: Final = re.compile(rb"(?i)(?=(?:\D*\d){5})[A-Z]{0,4}\d[\dA-Z]*(?:[ -][\dA-Z]+){0,8}")
_YEAR, _MONTH, _DAY = rb"(?:19|20)\d\d", rb"(?:0?[1-9]|1[0-2])", rb"(?:0?[1-9]|[12]\d|3[01])"
_DATE: Final = re.compile(
    rb"(?i)(?:" + _YEAR + rb"(?P<mark>[-/. ])" + _MONTH + rb"(?P=mark)" + _DAY
    + rb"(?:[T ]00:00(?::00)?(?:\.0+)?(?:Z|\+00(?::?00)?)?)?"
    + rb"|" + _YEAR + rb"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])" + _YEAR
    + rb"|" + _DAY + rb"(?P<sign>[-/. ])" + _DAY + rb"(?P=sign)(?:19|20)?\d\d"
    + rb"|" + _DAY + rb"(?:st|nd|rd|th)?[ -](?:of )?[A-Z]{3,9}\.?,?[ -](?:19|20)?\d\d"
    + rb"|[A-Z]{3,9}\.? " + _DAY + rb"(?:st|nd|rd|th)?,? (?:19|20)\d\d)"
)  # fmt: skip
_MAC: Final = re.compile(rb"(?i)[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}|[0-9a-f]{12}")
_IP: Final = re.compile(rb"(?i)\d{1,3}(?:\.\d{1,3}){3}|(?=.*:.*:)[0-9a-f:]{3,39}(?:\.\d{1,3}){0,3}(?:%\w+)?")
_GEO: Final = re.compile(rb"[\[(]?\s*-?\d{1,3}\.\d{3,}\s*[,; ]\s*-?\d{1,3}\.\d{3,}\s*[\])]?")
_OTP: Final = re.compile(rb"\d{4,8}|\d{3}[ -]\d{3}|(?=.*\d)[A-Z0-9]{6,10}")
_CODE: Final = re.compile(rb"(?i)(?=.*\d)[a-z0-9]{4,}(?:[- ][a-z0-9]{3,})*|[a-z0-9]{3,}(?:[-, ]+[a-z0-9]{3,})+|\d{6,}")
_PHRASE: Final = re.compile(rb"(?i)[a-z]+(?:[ ,]+[a-z]+){7,}")
_EXPIRY: Final = re.compile(rb"(?:0[1-9]|1[0-2])\s?[/-]\s?(?:20)?\d\d|20\d\d-(?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])\d\d")


def shannon_entropy(value: bytes) -> float:
    """Bits per byte of the value's own distribution."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values()) if size else 0.0


def has_digit(value: bytes) -> bool:
    return _ANY_DIGIT.search(value) is not None


def has_letter(value: bytes) -> bool:
    """Of ASCII."""
    return _ANY_LETTER.search(value) is not None


def has_digit_or_sign(value: bytes) -> bool:
    """What words of a sentence do not have."""
    return _ANY_DIGIT_OR_SIGN.search(value) is not None


def is_phrase_of_words(value: bytes) -> bool:
    """Four words or more in a chain, as generators of passphrases make them: no compound of a language."""
    return _PASSPHRASE.fullmatch(value) is not None


def is_placeholder(value: bytes) -> bool:
    """What stands where a secret would, and is none."""
    return len(value) <= 200 and _PLACEHOLDER.fullmatch(value) is not None


def is_scheme(value: bytes) -> bool:
    """Nothing but a scheme of authorization: a program puts the credentials behind it."""
    return _SCHEME_ALONE.fullmatch(value.strip()) is not None


def is_call(value: bytes) -> bool:
    """Code that gives the value rather than being it."""
    return _CALL.fullmatch(value) is not None


def is_random(value: bytes, least: int = 16) -> bool:
    """No words, no count, no UUID: letters and digits mixed, or a mixture of cases, with many different characters."""
    if len(value) < least or b" " in value or _UUID.fullmatch(value):
        return False
    digits = sum(48 <= byte <= 57 for byte in value)
    letters = sum(65 <= byte & 0xDF <= 90 for byte in value)
    if not letters or (not digits and len(value) < 24):
        return False
    return shannon_entropy(value[:256]) >= (3.0 if len(value) >= 20 else 2.8)


def whole(value: bytes) -> tuple[int, int] | None:
    """The value without blanks around it, or None when nothing is left."""
    stripped = value.strip()
    if not stripped:
        return None
    start = value.index(stripped)
    return start, start + len(stripped)


def _any(value: bytes) -> tuple[int, int] | None:
    span = whole(value)
    text = value[slice(*span)] if span else b""
    if not text or is_placeholder(text) or (len(text) < 4 and text.isdigit()) or _CODE_TEXT.search(text):
        return None
    if _REFERENCE.fullmatch(text) and not is_random(text.rsplit(b"/", 1)[-1], 20):
        return None
    return None if text.count(b" ") >= 2 and _SENTENCE.search(text) else span


def value_hits(data: bytes, start: int, end: int) -> list[Hit]:
    """What between two offsets may be a secret: any value that is no placeholder."""
    span = _any(data[start:end])
    return [(start + span[0], start + span[1], None)] if span else []


def _opaque(value: bytes) -> tuple[int, int] | None:
    scheme = AUTH_SCHEME.match(value)
    start = scheme.end() if scheme else 0
    span = _any(value[start:])
    if span is None:
        return None
    text = value[start + span[0] : start + span[1]]
    if len(text) < 4 or (len(text) < 6 and text.isdigit()) or _is_word(text) or _DIGEST.match(text):
        return None
    return start + span[0], start + span[1]


def _is_word(text: bytes) -> bool:
    """A name, a path, an address, a sentence: what tells where a secret is rather than being one."""
    if _WORDS.fullmatch(text):
        parts = _CAMEL.findall(text)
        if len(text) < 12 or any(mark in text for mark in b"-_. /:"):
            return len(text) < 12 or len(text) >= 3.5 * len(parts)
        return len(text) >= 4 * len(parts) and shannon_entropy(text) < 4.2
    if _REFERENCE.fullmatch(text):
        return not is_random(text.rsplit(b"/", 1)[-1], 20)
    return text.count(b" ") > 2 and not any(48 <= byte <= 57 for byte in text)


def _auth(value: bytes) -> tuple[int, int] | None:
    """Credentials behind their scheme."""
    scheme = AUTH_SCHEME.match(value)
    start = scheme.end() if scheme else 0
    span = _any(value[start:])
    if span is None or is_scheme(value[start:]):
        return None
    return start + span[0], start + span[1]


def _hash(value: bytes) -> tuple[int, int] | None:
    span = _opaque(value)
    text = value[slice(*span)] if span else b""
    return span if len(text) >= 6 and any(48 <= byte <= 57 for byte in text) else None


def _random(value: bytes) -> tuple[int, int] | None:
    span = _opaque(value) if b"://" not in value else None
    return span if span and is_random(value[slice(*span)]) else None


def _session(value: bytes) -> tuple[int, int] | None:
    span = _opaque(value)
    text = value[slice(*span)] if span else b""
    return span if is_random(text, 14) and text[:2].lower() != b"0x" else None


def _matching(pattern: re.Pattern[bytes]) -> Shape:
    def shape(value: bytes) -> tuple[int, int] | None:
        span = whole(value)
        return span if span and pattern.fullmatch(value, *span) else None

    return shape


def _digits(low: int, high: int) -> Shape:
    def shape(value: bytes) -> tuple[int, int] | None:
        span = whole(value)
        if span is None or not _DIGITS.fullmatch(value, *span):
            return None
        count = sum(48 <= byte <= 57 for byte in value)
        return span if low <= count <= high else None

    return shape


def _card(value: bytes) -> tuple[int, int] | None:
    """No number that begins with 0: such a one stands for a masked card."""
    span = _digits(12, 19)(value)
    return span if span and value[span[0]] != 48 else None


def _email(value: bytes) -> tuple[int, int] | None:
    return whole(value) if b"@" in value and b" " not in value.strip() else None


def _phrase(value: bytes) -> tuple[int, int] | None:
    span = whole(value)
    return span if span and (_PHRASE.fullmatch(value, *span) or is_random(value[slice(*span)])) else None


VALUE_SHAPES: Final[dict[str, Shape]] = {
    "any": _any,
    "answer": _any,
    "opaque": _opaque,
    "auth": _auth,
    "hash": _hash,
    "random": _random,
    "session": _session,
    "code": _matching(_CODE),
    "otp": _matching(_OTP),
    "phrase": _phrase,
    "card": _card,
    "cvv": _digits(3, 4),
    "pin": _digits(4, 8),
    "expiry": _matching(_EXPIRY),
    "id": _matching(_ID),
    "account": _matching(_ACCOUNT),
    "phone": _matching(_PHONE),
    "date": _matching(_DATE),
    "email": _email,
    "iban": _matching(_IBAN),
    "mac": _matching(_MAC),
    "ip": _matching(_IP),
    "geo": _matching(_GEO),
}


def _bare(expression: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?i)(?:" + expression + rb")(?![\w])")


# The same without quotes around: how far the value goes in the midst of other text.
BARE_PATTERNS: Final[dict[str, re.Pattern[bytes]]] = {
    "answer": re.compile(rb"[\w-]+(?:[ ][\w-]+){1,4}(?=[ \t]*(?:[\r\n]|\Z))|[\w.@#!-]{3,64}(?![\w])"),
    "card": _bare(rb"[1-9](?:[ -]?\d){11,18}"),
    "cvv": _bare(rb"\d{3,4}"),
    "pin": _bare(rb"\d{4,8}"),
    "otp": _bare(rb"\d{4,8}|\d{3}[ -]\d{3}"),
    "expiry": _EXPIRY,
    "id": _bare(
        rb"(?=(?:[^\s\d]*\d){4})[A-Z0-9][A-Z0-9./+()-]{3,27}(?<![.])|[A-Z0-9]{1,4}(?: (?=[A-Z]*\d)[A-Z0-9]{1,5}"
        rb"){1,5}(?: [A-Z])?"
        rb"|[A-Z]{1,2}(?: \d{2}){3} [A-Z]|\d{1,4}(?:[ .-]\d{1,5}){1,5}"
    ),
    "account": _bare(
        rb"[A-Z]{0,4}\d{5,20}|[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?|\d{2,6}(?:[ -]\d{2,6}){1,5}"
    ),
    "phone": _bare(rb"(?=(?:[^\n\d]{0,3}\d){7})[+(\d](?:[ ().-]{0,2}\d){6,15}(?:\s?(?:x|ext\.?)\s?\d{1,6})?"),
    "date": _bare(_DATE.pattern[4:]),
    "mac": _bare(_MAC.pattern[4:]),
    "ip": _bare(_IP.pattern[4:]),
    "geo": _GEO,
    "iban": _bare(rb"[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?"),
    "email": _bare(rb"[\w.%+'-]+@[\w.-]+\w"),
    "code": _bare(rb"(?=[^\s]*\d)[A-Z0-9]{4,}(?:-[A-Z0-9]{3,})*"),
}
