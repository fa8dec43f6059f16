import pytest

from masking.values import BARE_PATTERNS, VALUE_SHAPES, is_call, is_placeholder, is_random, shannon_entropy, whole


@pytest.mark.parametrize(
    ("shape", "value", "part"),
    [
        ("any", b" hunter2 ", b"hunter2"),
        ("any", b"swordfish", b"swordfish"),
        ("auth", b"Bearer abc", b"abc"),
        ("opaque", b"token abcd1234", b"abcd1234"),
        ("hash", b"5f4dcc3b5aa765d61d8327deb882cf99", b"5f4dcc3b5aa765d61d8327deb882cf99"),
        ("random", b"q1W2e3R4t5Y6u7I8", b"q1W2e3R4t5Y6u7I8"),
        ("card", b"4111 1111 1111 1111", b"4111 1111 1111 1111"),
        ("cvv", b"123", b"123"),
        ("date", b"1985-03-12", b"1985-03-12"),
        ("date", b"12 March 1985", b"12 March 1985"),
        ("phone", b"+1 (415) 555-0100", b"+1 (415) 555-0100"),
        ("id", b"536-22-1234", b"536-22-1234"),
        ("ip", b"10.0.0.1", b"10.0.0.1"),
        ("mac", b"3c:22:fb:1a:2b:3c", b"3c:22:fb:1a:2b:3c"),
        ("otp", b"123456", b"123456"),
        ("code", b"abcd-1234", b"abcd-1234"),
        ("phrase", b"a bb cc dd ee ff gg hh ii jj kk ll", b"a bb cc dd ee ff gg hh ii jj kk ll"),
        ("email", b"a@b.example", b"a@b.example"),
    ],
)
def test_a_value_of_its_shape(shape: str, value: bytes, part: bytes) -> None:
    span = VALUE_SHAPES[shape](value)
    assert span is not None and value[slice(*span)] == part


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("any", b""),
        ("any", b"must be at least eight characters"),
        ("any", b"12"),
        ("any", b"/run/secrets/db"),
        ("opaque", b"my-db-credentials"),
        ("opaque", b"https://auth.example.com/token"),
        ("random", b"550e8400-e29b-41d4-a716-446655440000"),
        ("session", b"0x14f05578bd80006"),
        ("card", b"4111"),
        ("cvv", b"12345"),
        ("date", b"tomorrow"),
        ("phone", b"12"),
        ("id", b"unknown"),
        ("pin", b"13"),
        ("email", b"nobody"),
    ],
)
def test_a_value_of_another_shape(shape: str, value: bytes) -> None:
    assert VALUE_SHAPES[shape](value) is None


@pytest.mark.parametrize(
    "text",
    "changeme,<YOUR_KEY>,${VAR},$VAR,{{ x }},xxxx,****,null,REDACTED,[FILTERED],%(pw)s,process.env.X,your-api-key-here,"
    "os.environ['X'],vault:a/b,arn:aws:secretsmanager:x,secrets.TOKEN,...,TODO,placeholder".split(","),
)
def test_placeholders(text: str) -> None:
    assert is_placeholder(text.encode())
    assert VALUE_SHAPES["any"](text.encode()) is None


@pytest.mark.parametrize("text", ["hunter2", "Passw0rd!", "x", "letmein99", "s3cr3t", "p4ss", "correct-horse-battery"])
def test_real_values_are_no_placeholders(text: str) -> None:
    assert not is_placeholder(text.encode())


def test_random() -> None:
    assert is_random(b"q1W2e3R4t5Y6u7I8o9P0")
    assert not is_random(b"aaaaaaaaaaaaaaaaaaaa1")
    assert not is_random(b"1234567890123456")
    assert not is_random(b"short1")
    assert shannon_entropy(b"") == 0.0 and shannon_entropy(b"ab") == 1.0


def test_calls_and_blanks() -> None:
    assert is_call(b"get_password()") and not is_call(b"hunter2")
    assert whole(b"  ") is None and whole(b" a b ") == (1, 4)


def test_every_shape_bounds_its_time() -> None:
    for text in (b"1 " * 30_000, b"a-" * 30_000, b"x." * 30_000, b"(" * 60_000, b"a1" * 30_000):
        for shape in VALUE_SHAPES.values():
            shape(text)
        for pattern in BARE_PATTERNS.values():
            pattern.match(text)
