import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.model import Operation
from policy.redis import classify_redis, command_operation, split_words
from tests.policy.tables import load_table

TABLE: list[tuple[str, str]] = list(load_table("redis"))


def test_there_are_enough_cases() -> None:
    assert len({statement for _, statement in TABLE}) == len(TABLE) >= 100


@pytest.mark.parametrize(("expected", "statement"), TABLE, ids=[statement for _, statement in TABLE])
def test_operation(expected: str, statement: str) -> None:
    classified = classify_redis(statement)
    assert ("unknown" if classified.is_unknown else classified.operation) == expected
    assert classified.operation is Operation.ADMIN or not classified.is_unknown


@pytest.mark.parametrize(
    ("statement", "objects"),
    [
        ("MGET a b", {"read a", "read b"}),
        ("MSET a 1 b 2", {"write a", "write b"}),
        ("SUNIONSTORE d a b", {"write d", "read a", "read b"}),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", {"write d", "read a", "read b"}),
        ("COPY a b", {"read a", "write b"}),
        ("SORT a BY w STORE d", {"read a", "write d"}),
        ("EVAL 'x' 2 a b c", {"execute a", "execute b"}),
        ("BLPOP a b 0", {"delete a", "delete b"}),
        ("XREAD COUNT 1 STREAMS a b 0 0", {"read a", "read b"}),
        ("OBJECT ENCODING a", {"read a"}),
        ("BITOP AND d a b", {"write d", "read a", "read b"}),
        ("PING hello", set()),
        ("GET a\nDEL a", {"delete a"}),
        ("EVAL x 99999999999999999999 a", set()),
    ],
)
def test_objects(statement: str, objects: set[str]) -> None:
    assert {str(each) for each in classify_redis(statement).objects} == objects


def test_several_commands_and_transactions() -> None:
    assert classify_redis("GET a\nGET b").is_multi
    assert not classify_redis("GET a\n").is_multi
    assert classify_redis("MULTI").is_transaction
    assert not classify_redis("MULTI\nDEL a").is_transaction


def test_quoting_is_that_of_redis() -> None:
    assert split_words(r'SET "a b" "\x41\n\"" ' + r"'it\'s \n'") == ["SET", "a b", 'A\n"', r"it's \n"]


def test_values_share_a_shape() -> None:
    assert classify_redis("SET a 1").fingerprint == classify_redis("set b 2").fingerprint
    assert classify_redis("SET a 1").fingerprint != classify_redis("SET a 1 NX").fingerprint


def test_too_many_keys_count_as_unknown() -> None:
    assert classify_redis("MGET " + " ".join(map(str, range(300)))).is_unknown


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="GETDL *$1\"\\'\r\nx", max_size=40) | st.text(max_size=40))
def test_any_text_is_classified(text: str) -> None:
    classified = classify_redis(text)
    assert classified.is_unknown or classified.operation in Operation


def test_a_command_by_its_words() -> None:
    assert command_operation(["del", "a"]) is Operation.DELETE
    assert command_operation(["nope"]) is None
