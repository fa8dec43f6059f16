from console.oidc.errors import ProviderFailed, TokenRefused
from schemas.errors import Fault, Unreachable


def test_a_bad_token_is_the_callers_fault_and_a_silent_provider_may_be_asked_again() -> None:
    assert TokenRefused.fault is Fault.CALLER and not TokenRefused.is_retryable
    assert issubclass(ProviderFailed, Unreachable) and ProviderFailed.is_retryable
