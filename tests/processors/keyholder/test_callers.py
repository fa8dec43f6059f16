"""Who may ask: the program by its secret; the person by the kernel's word, or by the API's."""

import getpass
import socket

import pytest

from processors.keyholder.callers import MAX_PRINCIPAL_CHARS, PRINCIPAL_HEADER, Unknown, identify, peer_of

SECRETS = {"console": "c" * 43, "api": "a" * 43}


def headers(secret: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", **more}


def test_the_command_asks_for_whoever_runs_it_whatever_it_claims() -> None:
    caller = identify(headers("c" * 43, **{PRINCIPAL_HEADER: "root"}), SECRETS, "ann@local")
    assert (caller.program, caller.principal, caller.key) == ("console", "ann@local", "console:ann@local")


def test_the_api_asks_for_the_person_it_names() -> None:
    caller = identify(headers("a" * 43, **{PRINCIPAL_HEADER: "dana@example.com"}), SECRETS, "custody@local")
    assert (caller.program, caller.principal) == ("api", "dana@example.com")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic " + "c" * 43},
        headers("c" * 42),
        headers("é" * 43),
        headers("a" * 43),
        headers("a" * 43, **{PRINCIPAL_HEADER: "x" * (MAX_PRINCIPAL_CHARS + 1)}),
        headers("a" * 43, **{PRINCIPAL_HEADER: "a\x1b[2J"}),
    ],
)
def test_others_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(Unknown) as caught:
        identify(given, SECRETS, "eve@local")
    assert caught.value.peer == "eve@local"


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert peer_of(here) == f"{getpass.getuser()}@local"
