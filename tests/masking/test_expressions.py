import pytest
import re2

from masking.catalog import load_detectors
from masking.expressions import Expression, least_bytes_of

TEXTS = (b"", b"a", b"ab 12, 345;", b"to ada@example.com, and 4111 1111 1111 1111.\n", b"\xff\x00x\n" * 3)
OTHERS = (rb"\d*", rb"\b", rb"\B", rb"(?m)^", rb"(?m)$", rb"\A", rb"\z", rb"(a)|(b)", rb"x*?", rb"(?s).")


def by_re2(pattern: bytes):
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    return re2.compile(pattern, options)


def told(match, groups: int):
    return match and [
        (match.span(n), match.start(n), match.end(n), match.group(n), match[n]) for n in range(groups + 1)
    ]


def test_matches_are_those_of_re2():
    cases = {detector.pattern.pattern: [case.text.encode() for case in detector.hits] for detector in load_detectors()}
    for pattern, texts in [*cases.items(), *((pattern, []) for pattern in OTHERS)]:
        ours, theirs = Expression(pattern), by_re2(pattern)
        assert ours.groups == theirs.groups
        for text in [*TEXTS, *texts]:
            found = [told(match, ours.groups) for match in ours.finditer(text)]
            assert found == [told(match, ours.groups) for match in theirs.finditer(text)], (pattern, text)
            for start in (0, 1, len(text), len(text) + 1):
                if start <= len(text):  # re2 takes a later start for the end
                    assert told(ours.search(text, start), ours.groups) == told(theirs.search(text, start), ours.groups)
                    assert told(ours.match(text, start), ours.groups) == told(theirs.match(text, start), ours.groups)
                else:
                    assert ours.search(text, start) is None is ours.match(text, start)
            assert told(ours.fullmatch(text), ours.groups) == told(theirs.fullmatch(text), ours.groups)


def test_a_match_knows_its_expression():
    match = Expression(rb"(a)(b)?").match(b"ac")
    assert match is not None and match.re.groups == 2
    assert match.group(2) is None and match.span(2) == (-1, -1)
    with pytest.raises(IndexError):
        match.span(3)


@pytest.mark.parametrize("pattern", [rb"(", rb"(?<=a)b", rb"(?:[a-z]{1000}){1000}"])
def test_what_re2_refuses_is_refused(pattern):
    with pytest.raises(re2.error):
        Expression(pattern)


def test_no_match_is_shorter_than_the_least():
    detectors = load_detectors()
    texts = [case.text.encode() for detector in detectors for case in detector.hits]
    known = 0
    for pattern in {detector.pattern.pattern for detector in detectors}:
        least, expression = least_bytes_of(pattern), Expression(pattern)
        known += least > 0
        for text in texts:
            match = expression.search(text)
            assert match is None or match.end() - match.start() >= least, (pattern, text)
    assert known > len(detectors) / 2


@pytest.mark.parametrize(
    ("pattern", "least"),
    [(b"a{3,}b?", 3), (rb"(a|bcd)\z", 1), (b"(?i)ab", 2), (rb"[[:alpha:]]", 0), (rb"\pL+", 0), (b"", 0)],
)
def test_the_least_of_an_expression(pattern, least):
    assert least_bytes_of(pattern) == least
