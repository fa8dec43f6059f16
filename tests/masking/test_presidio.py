"""The adapter. Presidio itself is an extra: what runs it is behind the marker `servers`."""

import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from masking.presidio import LABELS, MIN_SCORE, PresidioFinder, load_presidio
from schemas.errors import ConfigError
from tests.servers.build import presidio

ROOT = Path(__file__).parents[2]


@dataclass
class Result:
    """As presidio_analyzer.RecognizerResult."""

    entity_type: str
    start: int
    end: int


class Capitals:
    """An analyzer that takes each capitalised word for a person, and says more than it was asked for."""

    def analyze(self, text: str, language: str, entities: list[str], score_threshold: float) -> list[Result]:
        assert (language, entities, score_threshold) == ("en", list(LABELS), MIN_SCORE)
        places = [index for index, char in enumerate(text) if char.isupper()]
        return [Result("PERSON", start, start + 3) for start in places] + [Result("DATE_TIME", 0, 1)]


def test_entities_become_labels_and_others_are_dropped() -> None:
    finder = PresidioFinder(Capitals(), "en", "capitals-1")
    assert finder.find("by Ada, for Bob") == [(3, 6, "person"), (12, 15, "person")]
    assert finder.version == "capitals-1"


def test_where_it_is_not_installed_it_says_what_to_install() -> None:
    with pytest.raises(
        ConfigError, match="presidio_analyzer is not installed here: pip install presidio-analyzer spacy"
    ):
        load_presidio("en_core_web_lg", "en")


SCRIPT = """
import json, sys, warnings
import spacy
from masking.free_text import load_finder, make_masker
from masking.tokens import TokenKey
from schemas.config import Masking
from schemas.errors import ConfigError

model = spacy.blank("en")
ruler = model.add_pipe("entity_ruler")
ruler.add_patterns([
    {"label": "PERSON", "pattern": [{"LOWER": "ada"}, {"IS_TITLE": True}]},
    {"label": "GPE", "pattern": "Lisbon"},
    {"label": "ORG", "pattern": "Analytical Engines"},
])
model.to_disk(sys.argv[1])
finder = load_finder(Masking(free_text="presidio", free_text_model=sys.argv[1]))
masked = make_masker(finder, tokens=TokenKey(bytes(32))).mask_text("Ada Lovelace left Lisbon for Analytical Engines")
try:
    load_finder(Masking(free_text="presidio", free_text_model="no_such_model"))
    missing = ""
except ConfigError as error:
    missing = str(error)
print(json.dumps([finder.version, masked.text, [f.label for f in masked.findings], missing]))
"""


@pytest.mark.servers
def test_presidio_itself_with_a_model_from_a_directory(tmp_path: Path) -> None:
    """A spaCy pipeline of rules is a model like any other, and needs no download."""
    python = presidio().path
    assert python.exists(), "run `make test-servers`"
    own = os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))  # after the packages of the other interpreter
    code = f"import sys; sys.path += {own.split(os.pathsep)!r}\n{SCRIPT}"
    done = subprocess.run(
        [python, "-I", "-c", code, str(tmp_path / "model")], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    version, text, found, missing = json.loads(done.stdout)
    assert version.startswith("presidio-2.") and "/en_pipeline-" in version
    assert found == ["person", "location"]
    assert text.startswith("‹person:") and text.endswith("› for Analytical Engines")
    assert "no_such_model is no spaCy model" in missing
    assert sys.version_info[:2] == (3, 13)
