"""Runs in the peers' own environment: texts joined by zero bytes on stdin, `NAME MB/s` lines out.

Presidio with its pattern recognizers only (no model), detect-secrets with all its plugins, line by line.
"""

import sys
import time
from collections.abc import Callable


def presidio() -> Callable[[str], object]:
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

    class NoModel(NlpEngine):
        def load(self) -> None: ...
        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            return NlpArtifacts([], [], [], [], self, language)

        def process_batch(self, texts, language, **_):
            return ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word: str, language: str) -> bool:
            return False

        def is_punct(self, word: str, language: str) -> bool:
            return False

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return ["en"]

    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=NoModel(), supported_languages=["en"])
    return lambda text: analyzer.analyze(text, language="en")


def detect_secrets() -> Callable[[str], object]:
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    settings = default_settings()
    settings.__enter__()  # until the process ends: it is left when nothing refers to it any more
    return lambda text, _kept=settings: list(scan_line(text))


def main() -> None:
    texts = sys.stdin.buffer.read().decode().split("\0")
    for name, make in (("presidio", presidio), ("detect_secrets", detect_secrets)):
        scan = make()
        if not any(scan(text) for text in ("mail bob@example.com", "key AKIAJ7ZQKX3WLN5TRE2P")):
            raise SystemExit(f"{name} finds nothing: it is not set up")
        started = time.process_time()
        for text in texts:
            scan(text)
        print(name, sum(map(len, texts)) / 1e6 / (time.process_time() - started), flush=True)
