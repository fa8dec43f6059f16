import pytest

from console.api.local_logins import LocalLogins
from console.api.roles import ROLES
from schemas.errors import ConfigError
from schemas.runtime import Home, write_private


def test_each_password_is_one_role(bare_home: Home) -> None:
    logins = LocalLogins(bare_home)
    for role in ROLES:
        caller = logins.find(bare_home.read_secret(f"api/{role}.password"))
        assert caller is not None and caller.roles == (role,) and caller.principal == f"{role}@local"


@pytest.mark.parametrize("secret", ["", "x", "\udcff" * 40, "y" * 10_000])
def test_nothing_else_is(bare_home: Home, secret: str) -> None:
    assert LocalLogins(bare_home).find(secret) is None


def test_a_role_without_a_file_has_no_login(bare_home: Home) -> None:
    (bare_home.secrets / "api/auditor.password").unlink()
    assert LocalLogins(bare_home).find("") is None


def test_a_short_or_open_password_is_refused_at_start(bare_home: Home) -> None:
    write_private(bare_home.secrets / "api/auditor.password", b"short")
    with pytest.raises(ConfigError, match="shorter than 16"):
        LocalLogins(bare_home)
    write_private(bare_home.secrets / "api/auditor.password", b"x" * 40)
    (bare_home.secrets / "api/auditor.password").chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        LocalLogins(bare_home)
