from masking.catalog import load_detectors
from masking.finders import FINDERS


def test_every_finder_serves_a_detector_and_takes_the_empty_text() -> None:
    used = {detector.finder for detector in load_detectors() if detector.finder}
    assert used == set(FINDERS.values())
    assert all(list(find(b"", b"", [0])) == [] for find in FINDERS.values())
