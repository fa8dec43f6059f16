"""Every attack of the drill is caught, by what it says; and without the witness those that need it are not."""

from pathlib import Path
from typing import Any

import pytest

from console.drill import LOG_ATTACKS, ROW_ATTACKS, Copy, make_copy, run_drill
from schemas.errors import ConfigError, ProofError
from schemas.wire import framing
from sinks.transparency.walk import derive_leaves
from tests.sinks.batches import START_US, make_batch
from tests.sinks.row_values import row_values

BATCHES = [make_batch(partition, offset, 5) for offset in range(8) for partition in range(2)]


def copy_of(directory: Path, batches: list[Any] = BATCHES) -> Copy:
    entries: list[bytes] = []
    rows: dict[Any, Any] = {}
    for batch in batches:
        origin = batch.origin
        entries += [item[2:] for item in derive_leaves(framing.encode(batch)).framed]
        made = row_values([batch])
        for place in range(len(batch.events)):
            row = {name: column[place] for name, column in made.items()}
            rows[origin.log_id, origin.partition, origin.offset, place] = row
    return make_copy(directory, entries, rows, START_US)


def test_every_attack_is_caught_and_the_witness_where_it_is_needed(tmp_path: Path) -> None:
    copy = copy_of(tmp_path)
    found = run_drill(copy)
    copy.witness.close()
    assert [item.attack for item in found] == [name for name, _ in (*ROW_ATTACKS, *LOG_ATTACKS)]
    assert [item.attack for item in found if not item.by] == []
    needed = {item.attack for item in found if item.needs_witness}
    assert needed == {
        "delete a row and its leaf, sign anew with the stolen log key",
        "alter a row and its leaf, sign anew with the stolen log key",
        "roll log and table back, sign anew with the stolen log key",
        "roll log and table back to an older head that was witnessed",
        "fork: another log of the same size",
    }
    by = {item.attack: item for item in found}
    assert "1.000000 s before" in by["expire a day one second early"].finding
    held = by["expire a day that a legal hold takes in"].finding
    assert held.startswith("MISSING") and "legal hold drill-hold was in force" in held
    assert "columns statement" in by["edit a column, leave the committed bytes"].finding


def test_without_the_witness_what_needs_it_goes_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that `needs_witness` means something: the rest of the checks accept these attacks."""
    copy = copy_of(tmp_path)
    run_drill(copy)
    monkeypatch.setattr(type(copy.witness), "read_latest", lambda self, name: None)
    copy.policy = type(copy.policy)(copy.policy.log_keys, {}, {}, "none")
    for name, act in LOG_ATTACKS:
        if name.startswith(("roll", "alter a row and its leaf")):
            storage, rows = act(copy, f"again-{len(name)}", None)  # type: ignore[arg-type]
            by, finding, _ = copy.check(storage, rows)
            assert by == "", (name, finding)
    copy.witness.close()


def test_a_record_that_does_not_hold_or_is_too_small_is_no_ground_for_a_drill(tmp_path: Path) -> None:
    copy = copy_of(tmp_path / "a")
    copy.rows.pop(next(iter(copy.rows)))
    with pytest.raises(ProofError, match="before any attack"):
        run_drill(copy)
    copy.witness.close()
    with pytest.raises(ConfigError, match="at least four"):
        copy_of(tmp_path / "b", [make_batch(0, 0, 1)])
