"""One masker an engine for all tests here: building one compiles every detector."""

from functools import cache

from masking.engine import Masker
from masking.tokens import TokenKey
from tests.support.compiled import COMPILED

KEY = TokenKey(bytes(range(32)))


@cache
def masker(engine: str = "auto") -> Masker:
    return Masker(tokens=KEY, kept=COMPILED, rule_version="test", engine=engine)
