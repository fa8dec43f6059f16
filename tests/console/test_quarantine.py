import pytest

from console import control
from console.quarantine import lift_quarantine, list_quarantined, place_quarantine
from schemas.errors import ConfigError
from schemas.runtime import Home


def test_placed_listed_lifted_once(home: Home) -> None:
    place = control.find_place()
    placed = place_quarantine(place, "session", "console-s1", "runs wild", "bob@example.test")
    with control.open_view(place) as view:
        (entry,) = [each for each in list_quarantined(view) if each.name == "console-s1"]
        assert (entry.kind, entry.reason, entry.by, entry.at) == ("session", "runs wild", "bob@example.test", placed.at)
        assert lift_quarantine(place, view, "session", "console-s1") is True
        assert lift_quarantine(place, view, "session", "console-s1") is False
        assert not [each for each in list_quarantined(view) if each.name == "console-s1"]


@pytest.mark.parametrize(("kind", "name", "by"), [("host", "x", "bob"), ("agent", "", "bob"), ("agent", "x", " ")])
def test_what_cannot_be_is_refused_before_it_is_written(home: Home, kind: str, name: str, by: str) -> None:
    with pytest.raises(ConfigError, match="quarantine"):
        place_quarantine(control.find_place(), kind, name, "why", by)
