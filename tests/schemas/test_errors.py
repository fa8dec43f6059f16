"""Errors say who is at fault and whether to retry."""

from schemas import errors


def test_every_error_says_who_and_whether() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CustodyError)]
    assert len(kinds) > 5
    for kind in kinds:
        assert isinstance(kind.fault, errors.Fault) and isinstance(kind.is_retryable, bool) and kind.__doc__
