from policy.model import Operation
from policy.shell_options import has_option, make_table, split_options
from policy.shell_words import Word


def test_words_and_options_are_told_apart() -> None:
    words, options = split_options([Word(each) for each in "get -n default pods -A -o=wide".split()], "-n")
    assert [word.text for word in words] == ["get", "pods"]
    assert has_option(options, "-o") and has_option(options, "-A") and not has_option(options, "default")


def test_a_table_from_texts() -> None:
    assert make_table({Operation.READ: "a b", Operation.WRITE: "c"})["b"] is Operation.READ
