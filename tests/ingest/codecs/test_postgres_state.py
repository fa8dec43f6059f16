"""Names under definitions that succeed, fail and are skipped, against a model of what the server holds."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs.postgres_state import Limits, Named, Names


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.sampled_from(["ok", "fail"])), max_size=30), st.data()
)
def test_after_all_answers_a_name_is_what_the_server_holds(
    changes: list[tuple[str, bool, str]], data: st.DataObject
) -> None:
    """Changes are sent ahead of their answers by a random distance."""
    names = Names(Limits())
    held: dict[str, str] = {}
    waiting: list[tuple[Named, str]] = []

    def answer() -> None:
        named, outcome = waiting.pop(0)
        key = named.key.decode()
        # a real server refuses a Parse of a name that exists
        if outcome == "fail" or (not named.is_closed and key in held):
            names.fail(named)
        elif named.is_closed:
            held.pop(key, None)
            names.confirm(named)
        else:
            held[key] = named.text
            names.confirm(named)

    for index, (key, is_close, outcome) in enumerate(changes):
        named = Named(key.encode(), index, f"text {index}")
        named.is_closed = is_close
        assert names.define(named)
        waiting.append((named, outcome))
        while waiting and data.draw(st.booleans()):
            answer()
    while waiting:
        answer()
    for key in "ab":
        found = names.find(key.encode())
        assert (found.text if found is not None else None) == held.get(key)
        assert not names.is_contested(key.encode(), 999)
    assert len(names) == len(held)
    names.remove_confirmed()
    assert len(names) == 0 and names._bytes == 0


def test_the_bytes_of_names_are_limited() -> None:
    names = Names(Limits(max_name_bytes=100))
    assert names.define(Named(b"Sa", 0, "x" * 50))
    assert not names.define(Named(b"Sb", 0, "x" * 60))
    assert names.find(b"Sb") is None
    assert not names.define(Named(b"Sa", 0, "y" * 60))
    assert names.find(b"Sa") is None, "an older text must not stand for a newer one that was not kept"
