import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stdnum import numdb

from masking.catalog import CatalogError, load_detectors, parse_family, rule_version
from masking.engine import Masker
from masking.expressions import Expression
from masking.tokens import TokenKey
from tests.masking.helpers import masker

ROOT = Path(__file__).parents[2]
DETECTORS = load_detectors()
HITS = [(detector, case) for detector in DETECTORS for case in detector.hits]
MISSES = [(detector, text) for detector in DETECTORS for text in detector.misses]
VALID = """
- name: a
  label: a_key
  description: d
  keywords: [abc_]
  pattern: '(abc_\\w+)'
  hit: ['x [[abc_1]]']
  miss: [abc]
"""


@pytest.mark.parametrize("engine", ["hyperscan", "keywords"])
@pytest.mark.parametrize(("detector", "case"), HITS, ids=lambda v: getattr(v, "name", getattr(v, "text", ""))[:40])
def test_hit_masks_exactly_the_marked_spans(engine, detector, case):
    masked = masker(engine).mask_text(case.text)
    assert sorted({(f.start, f.end) for f in masked.findings}) == list(case.spans)
    assert masker(engine).mask_text(masked.text).findings == ()


@pytest.mark.parametrize("engine", ["hyperscan", "keywords"])
@pytest.mark.parametrize(("detector", "text"), MISSES, ids=lambda v: getattr(v, "name", str(v)[:40]))
def test_miss_is_not_given_the_label(engine, detector, text):
    assert detector.label not in {f.label for f in masker(engine).mask_text(text).findings}


def test_every_detector_has_hit_and_miss_cases_and_a_name_of_its_own():
    assert all(detector.hits and detector.misses and detector.description for detector in DETECTORS)
    assert len({detector.name for detector in DETECTORS}) == len(DETECTORS)


def test_every_hit_case_carries_the_label():
    for detector, case in HITS:
        labels = {f.label for f in masker().mask_text(case.text).findings}
        assert detector.label in labels or detector.finder, (detector.name, case.text, labels)


def test_a_case_loses_its_marks():
    (detector,) = parse_family("f", VALID)
    assert detector.hits[0].text == "x abc_1"
    assert detector.hits[0].spans == ((2, 7),)


def test_a_gate_may_be_several_expressions():
    (detector,) = parse_family("f", VALID.replace("keywords: [abc_]", "gate: ['abc_', '{NAMES}x', 'de']"))
    assert detector.gates[0] == b"abc_" and detector.gates[-1] == b"de" and len(detector.gates) > 3
    masker = Masker([detector], tokens=TokenKey(b"k" * 32))
    assert masker.has_candidates(b"abc_") and masker.has_candidates(b"de") and not masker.has_candidates(b"ab de"[:3])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("  label: a_key", "  label: A!", "label"),
        ("  keywords: [abc_]", "  surprise: 1", "surprise"),
        ("  keywords: [abc_]\n", "", "keywords or a gate"),
        ("(abc_", "(abc_(", "missing"),
        ("  keywords: [abc_]", "  gate: [7]", "list of them"),
        ("  keywords: [abc_]", "  gate: 7", "list of them"),
        ("  hit:", "  validator: nothing\n  hit:", "nothing"),
        ("  hit:", "  group: 4\n  hit:", "group"),
        ("  hit:", "  normalize: rot13\n  hit:", "normalize"),
        ("  hit: ['x [[abc_1]]']\n", "", "^family.yaml: a: needs hit$"),
        ("  hit: ['x [[abc_1]]']\n", "  hit: ['x abc_1']\n", "'x abc_1' marks nothing"),
        ("  hit:", "  validator: stdnum:no.such\n  hit:", "^family.yaml: a: there is no validator 'stdnum:no.such'$"),
        ("  hit:", "  finder: nobody\n  hit:", "^family.yaml: a: there is no finder 'nobody'$"),
        ("(abc_", "((?=x)abc_", r"^family.yaml: a: invalid perl operator: \(\?=$"),
    ],
)
def test_a_wrong_detector_is_refused_with_its_name(old, new, fault):
    with pytest.raises(CatalogError, match=fault):
        list(parse_family("family.yaml", VALID.replace(old, new)))


def test_a_file_that_is_no_list_is_refused():
    with pytest.raises(CatalogError, match="list"):
        list(parse_family("family.yaml", "a: 1"))


def test_the_rule_version_changes_with_any_detector_and_any_name(tmp_path: Path) -> None:
    package = tmp_path / "masking"
    shutil.copytree(ROOT / "masking", package)
    seen = {rule_version(package)}
    assert seen == {rule_version()}
    for path in (package / "detectors" / "payment.yaml", package / "names.yaml"):
        path.write_text(path.read_text("utf-8") + "\n# changed\n")
        seen.add(rule_version(package))
    (package / "detectors" / "new.yaml").write_text(VALID)
    seen.add(rule_version(package))
    (package / "detectors" / "new.yaml").rename(package / "detectors" / "newer.yaml")
    seen.add(rule_version(package))
    assert len(seen) == 5


def test_the_rule_version_is_the_same_in_every_process() -> None:
    command = [sys.executable, "-c", "from masking.catalog import rule_version; print(rule_version())"]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
        assert done.stdout.strip() == rule_version()


def test_the_gate_of_bank_accounts_knows_each_country_that_has_them() -> None:
    (detector,) = (each for each in load_detectors() if each.label == "iban" and each.name == "iban")
    (gate,) = map(Expression, detector.gates)
    countries = [prefix for _, prefix, *_ in numdb.get("iban").prefixes]
    assert len(countries) > 80
    for country in countries:
        assert gate.search(f" {country}12 ABCD 1234 567".encode()), country
        assert gate.search(f" {country.lower()}12abcd1234567".encode()), country
    assert not gate.search(b" ab12abcd1234567")
