"""A signed POST to a real receiver, and what its answers mean."""

import base64
import hashlib
import hmac
import time

import pytest

from schemas.errors import ConfigError
from sinks.approvals.webhook import DeliveryFailed, Webhook, read_retry_after, read_secret, sign
from tests.support.receiver import Receiver

KEY = b"0123456789abcdef"


def test_a_delivery_carries_id_time_and_signature(receiver: Receiver) -> None:
    Webhook(receiver.url, KEY).send("a1", b'{"a": 1}')
    (got,) = receiver.got
    assert (got.path, got.body, got.headers["content-type"]) == ("/hook?a=b", b'{"a": 1}', "application/json")
    stamp = got.headers["webhook-timestamp"]
    assert abs(time.time() - int(stamp)) < 60
    expected = hmac.digest(KEY, b"a1." + stamp.encode() + b'.{"a": 1}', hashlib.sha256)
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    Webhook(receiver.url).send("a1", b"{}")
    assert "webhook-signature" not in receiver.got[1].headers


def test_the_signature_is_the_one_of_the_standards_example() -> None:
    key = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize(
    ("answer", "is_final", "after_s"),
    [
        ((500, {}), False, 0),
        ((503, {"Retry-After": "7"}), False, 7),
        ((429, {"Retry-After": "99999"}), False, 300),
        ((408, {}), False, 0),
        ((400, {}), True, 0),
        ((410, {}), True, 0),
        ((302, {"Location": "http://127.0.0.1:1/"}), True, 0),
    ],
)
def test_what_an_answer_means(
    receiver: Receiver, answer: tuple[int, dict[str, str]], is_final: bool, after_s: float
) -> None:
    receiver.answers.append(answer)
    with pytest.raises(DeliveryFailed, match=f"answered {answer[0]}") as failure:
        Webhook(receiver.url, KEY).send("a1", b"{}")
    assert (failure.value.is_final, failure.value.after_s) == (is_final, after_s)
    assert len(receiver.got) == 1


def test_nobody_there_is_tried_again() -> None:
    with pytest.raises(DeliveryFailed, match="no answer: ConnectionRefusedError") as failure:
        Webhook("http://127.0.0.1:1/", KEY).send("a1", b"{}")
    assert not failure.value.is_final


@pytest.mark.parametrize(
    "url", ["", "ftp://host/", "https:///path", "http://example.test/", "https://user:secret@host/", "https://hóst/"]
)
def test_an_address_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError) as fault:
        Webhook(url)
    assert not url or url not in str(fault.value)
    assert "token" not in repr(Webhook("https://host.test/token", KEY))


@pytest.mark.parametrize("secret", ["short", "whsec_!!!", "whsec_c2hvcnQ="])
def test_a_weak_secret_is_refused(secret: str) -> None:
    with pytest.raises(ConfigError):
        read_secret(secret)


def test_retry_after_of_other_forms_is_not_looked_at() -> None:
    assert [read_retry_after(text) for text in ("", "-1", "1.5", "Fri, 01 Jan 2027 00:00:00 GMT", "²")] == [0] * 5
