"""Presidio as the finder of names and places in free text. Only imported when `masking.free_text` asks for it.

Presidio's own patterns for cards, e-mail addresses and the like are not used: the detectors know these better.
"""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

from masking.free_text_finder import AFFILIATION, LOCATION, PERSON, Found
from schemas.errors import ConfigError

LABELS: Final = {"PERSON": PERSON, "LOCATION": LOCATION, "NRP": AFFILIATION}
"""Presidio's entities that are looked for. NRP: nationality, religion, politics."""

MIN_SCORE: Final = 0.5


class Entity(Protocol):
    """One result of Presidio's, in code points."""

    entity_type: str
    start: int
    end: int


class Analyzer(Protocol):
    """What of presidio_analyzer.AnalyzerEngine is used."""

    def analyze(self, text: str, language: str, entities: list[str], score_threshold: float) -> Sequence[Entity]:
        """The entities found."""


class PresidioFinder:
    """A `FreeTextFinder` over an analyzer."""

    def __init__(self, analyzer: Analyzer, language: str, version: str) -> None:
        self._analyzer = analyzer
        self._language = language
        self._version = version

    @property
    def version(self) -> str:
        return self._version

    def find(self, text: str) -> list[Found]:
        """See `FreeTextFinder`."""
        found = self._analyzer.analyze(
            text=text, language=self._language, entities=list(LABELS), score_threshold=MIN_SCORE
        )
        return [(item.start, item.end, LABELS[item.entity_type]) for item in found if item.entity_type in LABELS]


def load_presidio(model: str, language: str) -> PresidioFinder:
    """Presidio with one spaCy model, a package or a directory. Nothing is fetched: raises ConfigError, saying what to
    install, when either is missing or the model is none."""
    try:
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
        from spacy.util import is_package
    except ImportError as error:
        raise ConfigError(
            f"masking.free_text is presidio, but {error.name} is not installed here: "
            "pip install presidio-analyzer spacy"
        ) from None
    if not (is_package(model) or Path(model).is_dir()):
        raise ConfigError(
            f"masking.free_text_model: {model} is no spaCy model that is installed, and no directory of one: "
            f"python -m spacy download {model}"
        )
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)  # it may quote what it looks at
    nlp = SpacyNlpEngine(models=[{"lang_code": language, "model_name": model}])
    try:
        nlp.load()
    except (OSError, ValueError) as error:
        raise ConfigError(f"masking.free_text_model: {model} cannot be loaded: {error}") from None
    registry = RecognizerRegistry(supported_languages=[language])
    registry.add_recognizer(SpacyRecognizer(supported_language=language, supported_entities=list(LABELS)))
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=[language])
    return PresidioFinder(analyzer, language, _version_of(nlp.nlp[language].meta))


def _version_of(meta: dict[str, Any]) -> str:
    """presidio-2.2.362/en_core_web_lg-3.8.0"""
    return f"presidio-{version('presidio-analyzer')}/{meta.get('lang')}_{meta.get('name')}-{meta.get('version')}"
