from policy.model import Operation
from policy.mysql_lexer import Reading, tokenize
from policy.mysql_objects import read_names


def test_names_by_the_words_before_them() -> None:
    tokens = list(tokenize("RENAME TABLE a TO `b c`, d.e TO f", Reading()))
    assert {name for name, _ in read_names(tokens, Operation.DDL)} == {"a", "b c", "d.e", "f"}
