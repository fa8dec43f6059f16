"""Who accepts what."""

from processors.origins import MAX_LOGS, Absorbed, OriginChain


def origin(offset: int, log_id: str = "a", partition: int = 0) -> dict[str, object]:
    return {"log_id": log_id, "partition": partition, "offset": offset}


def test_the_first_occurrence_of_the_next_origin() -> None:
    chain = OriginChain()
    assert chain.judge(origin(7)) == "next"
    chain.advance(origin(7))
    assert [chain.judge(origin(offset)) for offset in (6, 7, 8, 9)] == ["repeat", "repeat", "next", "gap"]
    assert chain.judge(origin(8, "b")) == "other"
    assert OriginChain.load(chain.save()) == chain
    assert OriginChain.load(None) == OriginChain()


def test_facts_are_taken_once() -> None:
    absorbed = Absorbed()
    assert absorbed.take(origin(0), 0) and absorbed.take(origin(0), 1) and absorbed.take(origin(2), 0)
    assert not absorbed.take(origin(0), 0) and not absorbed.take(origin(2), 0)
    assert absorbed.take(origin(0, partition=1), 0)
    again = Absorbed(absorbed.save())
    assert not again.take(origin(2), 0) and again.take(origin(3), 0)


def test_old_logs_are_forgotten() -> None:
    absorbed = Absorbed()
    for number in range(MAX_LOGS + 3):
        absorbed.take(origin(0, f"log{number}"), 0)
    assert {item[0] for item in absorbed.save()} == {f"log{number}" for number in range(3, MAX_LOGS + 3)}
