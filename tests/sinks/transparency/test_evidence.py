"""Evidence files: what holds, what is found in them, and what hostile ones come to."""

import json
import struct
import time
import zipfile
from pathlib import Path

import pytest

from schemas.errors import ProofError
from schemas.events import EventKind, RetentionAction, RetentionVerb
from sinks.transparency import evidence
from sinks.transparency.evidence import describe_report, iterate_records, verify_evidence
from sinks.transparency.orders import day_of
from tests.sinks.batches import START_US, make_batch
from tests.sinks.transparency.filed import POLICY, Files, edit_records, make_files, pack

NOW = START_US + 400 * 86_400_000_000

APPROVED = {"by": "ann", "approved_by": "bob"}


def whole_batches() -> list:  # type: ignore[type-arg]
    batches = [make_batch(0, offset, 6) for offset in range(3)]
    batches[0].events[0].event.kind = EventKind.SESSION_OPENED
    last = batches[2].events[5].event
    last.kind = EventKind.SESSION_CLOSED
    last.attributes = {
        "events": "18",
        "bytes.from_agent": "60",
        "bytes.from_upstream": "40",
        "bytes.opaque_agent": "10",
    }
    return batches


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path / "log", whole_batches())


def verify(tmp_path: Path, files: Files, policy: str = ""):  # type: ignore[no-untyped-def]
    return verify_evidence(pack(tmp_path / "evidence.zip", files), NOW, policy)


def test_a_whole_session_holds(tmp_path: Path, files: Files) -> None:
    report = verify(tmp_path, files)
    assert report.exit_code == 0, report.audit.findings
    assert dict(report.audit.states) == {"present": 18} and dict(report.sessions) == {"complete": 1}
    assert (report.bytes_seen, report.bytes_opaque) == (100, 10) and report.is_own_policy
    text = "\n".join(describe_report(report))
    assert "90.00 % of 100 bytes" in text and "quorum is met" in text and "the policy is the file's own" in text
    lines = [line for line in describe_report(report) if line.startswith("time ")]
    assert lines == [
        "time          events of 2026-09-21 14:13:20 UTC to 2026-09-21 14:13:20 UTC by their proxies' clocks; "
        "in the log since 2026-09-21 14:13:20 UTC or before, says w"
    ]
    assert "1 complete; 0 truncated by policy" in text
    assert not verify(tmp_path, files, POLICY).is_own_policy
    seen = list(iterate_records(tmp_path / "evidence.zip"))
    assert len(seen) == 18 and seen[0][2][1]["kind"] == "session.opened"  # type: ignore[index]


def test_what_the_limits_of_a_resource_left_out_is_counted(tmp_path: Path) -> None:
    batches = whole_batches()
    batches[1].events[2].event.is_truncated = True
    report = verify(tmp_path, make_files(tmp_path / "log", batches))
    assert report.exit_code == 0 and len(report.truncated) == 1
    assert "1 complete; 1 truncated by policy" in "\n".join(describe_report(report))


def flip(text: object) -> str:
    assert isinstance(text, str)
    return text[:40] + ("A" if text[40] != "A" else "B") + text[41:]


def test_what_was_done_to_it_is_found(tmp_path: Path, files: Files) -> None:
    def only(index: int, **changes: object):  # type: ignore[no-untyped-def]
        return lambda line: {**line, **changes} if line["index"] == index else line

    def drop(index: int):  # type: ignore[no-untyped-def]
        return lambda line: None if line["index"] == index else line

    canonical = json.loads(files["records.jsonl"].splitlines()[3])["canonical"]
    cases = (
        (edit_records(files, only(4, canonical=flip(canonical))), "ALTERED: leaf 4"),
        (edit_records(files, only(4, opening="00" * 16)), "ALTERED: leaf 4"),
        (edit_records(files, only(4, canonical="", opening="")), "MISSING: leaf 4"),
        (edit_records(files, drop(4)), "1 events between 1 and 18 are left out"),
        ({**files, "proofs/4.tlog-proof": files["proofs/5.tlog-proof"]}, "leaf 4 is not proven"),
        ({name: data for name, data in files.items() if name != "proofs/4.tlog-proof"}, "there is no proof"),
    )
    for changed, finding in cases:
        report = verify(tmp_path, changed)
        assert report.exit_code == 1 and any(finding in item for item in report.audit.findings), finding


def test_another_leaf_in_the_place_of_one_is_not_proven(tmp_path: Path, files: Files) -> None:
    other = make_files(tmp_path / "other", [make_batch(0, 7, 6)])
    stranger = json.loads(other["records.jsonl"].splitlines()[0])
    changed = edit_records(files, lambda line: {**stranger, "index": 4} if line["index"] == 4 else line)
    report = verify(tmp_path, changed)
    assert report.exit_code == 1 and "does not lead to the root" in report.audit.findings[0]


def test_what_is_gone_lawfully_is_no_violation(tmp_path: Path) -> None:
    batches = whole_batches()
    day, order_id = day_of(START_US), "standard/day"
    ages = {"max_age_days": "365", "min_age_days": "0"}
    expire = RetentionAction(order_id, RetentionVerb.EXPIRE, "standard", day, NOW, "max age", ages)
    done = RetentionAction(order_id, RetentionVerb.DONE, "standard", day, NOW, "")
    files = make_files(tmp_path / "a", batches, actions=[expire, done], gone=lambda leaf: True)
    report = verify(tmp_path, files)
    assert report.exit_code == 0 and dict(report.audit.states) == {"expired": 18}
    erase = RetentionAction("e-1", RetentionVerb.ERASE, "", "", NOW, "art. 17", {"session_id": "s-0", **APPROVED})
    files = make_files(tmp_path / "b", batches, actions=[erase], gone=lambda leaf: True)
    assert dict(verify(tmp_path, files).audit.states) == {"erasing": 18}
    files = make_files(tmp_path / "c", batches, gone=lambda leaf: True)
    assert verify(tmp_path, files).exit_code == 1


def test_without_the_quorum_nothing_is_decided(tmp_path: Path) -> None:
    report = verify(tmp_path, make_files(tmp_path / "log", whole_batches(), is_witnessed=False))
    assert report.exit_code == 2 and "quorum is NOT met" in "\n".join(describe_report(report))


def test_a_policy_of_the_readers_own_decides_whose_log_it_is(tmp_path: Path, files: Files) -> None:
    other = POLICY.replace(POLICY.split()[1], "x+00000000+AAAA")
    with pytest.raises(ProofError):
        verify(tmp_path, files, other)


HOSTILE_NAMES = (
    "../escape",
    "/etc/passwd",
    "proofs/../../x.tlog-proof",
    "a\\b",
    "proofs/x.tlog-proof",
    "schemas/",
    "x" * 9,
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_files_that_do_not_belong_there_are_refused(name: str, tmp_path: Path, files: Files) -> None:
    with pytest.raises(ProofError, match="does not belong there"):
        verify(tmp_path, {**files, name: b"x"})


def test_every_cut_and_many_mutations_end_in_an_error_or_a_finding(tmp_path: Path, files: Files) -> None:
    data = pack(tmp_path / "whole.zip", files).read_bytes()
    target = tmp_path / "evidence.zip"
    for end in range(0, len(data), 997):
        target.write_bytes(data[:end])
        with pytest.raises(ProofError):
            verify_evidence(target, NOW)
    outcomes = set()
    for at in range(0, len(data), 211):
        target.write_bytes(data[:at] + bytes((data[at] ^ 0x55,)) + data[at + 1 :])
        try:
            outcomes.add(verify_evidence(target, NOW).exit_code)
        except ProofError:
            outcomes.add(2)
    assert 2 in outcomes


def test_a_session_without_its_end_is_told(tmp_path: Path, files: Files) -> None:
    *rest, _end = files["records.jsonl"].splitlines(keepends=True)
    assert not any("without their end" in line for line in describe_report(verify(tmp_path, files)))
    report = verify(tmp_path, {**files, "records.jsonl": b"".join(rest)})
    told = [line for line in describe_report(report) if "without their end" in line]
    assert (report.exit_code, len(told)) == (0, 1)
    assert told[0].startswith("note          sessions without their end: 1; ")


def test_a_broken_line_is_named(tmp_path: Path, files: Files) -> None:
    first, *rest = files["records.jsonl"].splitlines(keepends=True)
    with pytest.raises(ProofError, match=r"^records.jsonl: line 2 is no record$"):
        verify(tmp_path, {**files, "records.jsonl": first + b"garbage\n" + b"".join(rest)})
    with pytest.raises(ProofError, match=r"^manifest.json is no JSON object$"):
        verify(tmp_path, {**files, "manifest.json": b"{"})


def test_bombs_end_soon_and_small(tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.process_time()
    bombs = {
        "one line without end": {**files, "records.jsonl": b" " * (40 << 20)},
        "a policy of 50 MB": {**files, "policy.txt": b"#" * (50 << 20)},
        "a checkpoint of 50 MB": {**files, "checkpoint": b"x" * (50 << 20)},
        "json that nests": {**files, "manifest.json": b"[" * 500_000},
        "a proof of 50 MB": {**files, "proofs/4.tlog-proof": b"x" * (50 << 20)},
    }
    for what, changed in bombs.items():
        try:
            assert verify(tmp_path, changed).exit_code == 1, what
        except ProofError:
            continue
    assert time.process_time() - started < 60
    monkeypatch.setattr(evidence, "MAX_TOTAL_BYTES", 100_000)
    with pytest.raises(ProofError, match="inflates"):
        verify(tmp_path, {**files, "records.jsonl": files["records.jsonl"] + b" " * 200_000})
    monkeypatch.undo()
    monkeypatch.setattr(evidence, "MAX_RECORDS", 10)
    with pytest.raises(ProofError, match="more or longer lines"):
        verify(tmp_path, files)


def test_the_zips_directory_may_lie_about_sizes(tmp_path: Path, files: Files) -> None:
    data = bytearray(pack(tmp_path / "evidence.zip", files).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFF_FFF0)  # the uncompressed size of the first file
    (tmp_path / "evidence.zip").write_bytes(data)
    try:
        assert verify_evidence(tmp_path / "evidence.zip", NOW).exit_code in (0, 1, 2)
    except ProofError:
        pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeats_and_disorder_are_refused(tmp_path: Path, files: Files) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for name, data in (*files.items(), ("checkpoint", files["checkpoint"])):
            archive.writestr(name, data)
    with pytest.raises(ProofError, match="two files of one name"):
        verify_evidence(tmp_path / "twice.zip", NOW)
    lines = files["records.jsonl"].splitlines(keepends=True)
    for records in (lines[0] + lines[0], lines[1] + lines[0]):
        with pytest.raises(ProofError, match="twice or out of order"):
            verify(tmp_path, {**files, "records.jsonl": records})


@pytest.mark.parametrize(
    "line",
    [
        b"{}", b"[]", b"7", b"null", b"{", b'{"index": -1, "leaf": "AQE="}', b'{"index": true, "leaf": "AQE="}',
        b'{"index": 1, "leaf": 7}', b'{"index": 1, "leaf": "AQE=", "canonical": 9}', b'{"index": 1e999, "leaf": ""}',
    ],
)  # fmt: skip
def test_hostile_lines_end_in_an_error(line: bytes, tmp_path: Path, files: Files) -> None:
    with pytest.raises(ProofError):
        verify(tmp_path, {**files, "records.jsonl": line + b"\n"})


@pytest.mark.parametrize("name", ["manifest.json", "policy.txt", "checkpoint", "records.jsonl"])
def test_what_is_not_there_is_said(name: str, tmp_path: Path, files: Files) -> None:
    with pytest.raises(ProofError, match=f"cannot be read: there is no {name} in it"):
        verify(tmp_path, {other: data for other, data in files.items() if other != name})
    with pytest.raises(ProofError):
        (tmp_path / "no.zip").write_text("not a zip")
        verify_evidence(tmp_path / "no.zip", NOW)
