import pytest
from starlette.requests import Request

from console.api.authentication import MAX_TOKEN_CHARS, Authentication, bearer_of
from console.api.local_logins import LocalLogins
from console.api.problems import Problem
from schemas.runtime import Home


def request(authorization: str) -> Request:
    headers = [(b"authorization", authorization.encode("latin-1"))] if authorization else []
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic YTpi", ""),
        ("Bearer", ""),
        ("", ""),
        ("Bearer " + "x" * (MAX_TOKEN_CHARS + 1), ""),
    ],
)
def test_bearer_tokens(header: str, token: str) -> None:
    assert bearer_of(request(header)) == token


async def test_a_password_of_the_home_is_its_role(bare_home: Home) -> None:
    password = bare_home.read_secret("api/auditor.password")
    caller = await Authentication(LocalLogins(bare_home)).find(request(f"Bearer {password}"))
    assert caller.roles == ("auditor",)
    for authentication in (Authentication(None), Authentication(LocalLogins(bare_home))):
        with pytest.raises(Problem, match="unauthorized"):
            await authentication.find(request("Bearer " + "x" * 43))
    with pytest.raises(Problem, match="unauthorized"):
        await Authentication(None).find(request(f"Bearer {password}"))
