"""The labels of free text."""

from masking.catalog import load_detectors
from masking.free_text_finder import AFFILIATION, FREE_TEXT_LABELS, LOCATION, PERSON
from masking.presidio import LABELS


def test_what_a_model_found_is_told_from_what_a_detector_found() -> None:
    assert not FREE_TEXT_LABELS & {detector.label for detector in load_detectors()}


def test_presidio_tells_every_label_and_no_other() -> None:
    assert set(LABELS.values()) == FREE_TEXT_LABELS == {PERSON, LOCATION, AFFILIATION}
