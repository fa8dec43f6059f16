"""The page for people: it shows what is there, says what is gone, and runs nothing that an agent wrote."""

import re
from pathlib import Path

from console.evidence.html import render_report
from schemas.events import EventKind, Verdict
from sinks.transparency.evidence import verify_evidence
from tests.sinks.batches import make_batch
from tests.sinks.transparency.filed import make_files, pack
from tests.sinks.transparency.test_evidence import NOW


def test_hostile_statements_stay_text(tmp_path: Path) -> None:
    batch = make_batch(0, 0, 4)
    batch.events[0].event.statement = "<script>alert(1)</script>\u202e\" onload='x' &amp; \x00"
    batch.sessions[0].agent = "<img src=x onerror=alert(1)>"
    files = make_files(tmp_path / "log", [batch], gone=lambda leaf: leaf.position == 3)
    path = pack(tmp_path / "e.zip", files)
    page = render_report(verify_evidence(path, NOW), path)
    assert "<script" not in page and "<img" not in page and "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "the record is gone" in page
    assert page.count("<tr") == 1 + 4 and "MISSING: leaf 4" in page
    assert set(re.findall(r"<([a-z]+[1-6]?)", page)) <= set(
        "html meta title style h1 p code pre table tr th td br".split()
    ) and "http" not in page.replace("the record", "")


def test_what_was_bound_and_what_failed_is_shown_and_a_cut_is_said(tmp_path: Path) -> None:
    batch = make_batch(0, 0, 2)
    asked, done = batch.events[0].event, batch.events[1].event
    asked.kind, asked.statement, asked.verdict = EventKind.ACTION_REQUESTED, "SELECT " + "x" * 3000, Verdict.ALLOW
    asked.parameters = ["<b>", None, *("v" for _ in range(30))]
    done.kind, done.status, done.error, done.rows = EventKind.ACTION_COMPLETED, "42P01", "no <such> table", 0
    path = pack(tmp_path / "e.zip", make_files(tmp_path / "log", [batch]))
    page = render_report(verify_evidence(path, NOW), path)
    assert "$1 = &lt;b&gt;" in page and "$2 = NULL" in page and "$20 = v" in page and "$21" not in page
    assert "… 12 more values are in the file" in page and "… 1007 more characters are in the file" in page
    assert "no &lt;such&gt; table" in page and "<td>42P01, 0 rows</td>" in page
    assert "<td>allow</td>" in page and "<td>none</td>" not in page
