"""A small real OpenID provider: it serves discovery and keys, checks PKCE and codes, and signs real tokens."""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

CLIENT = "custody"
ANN = {
    "sub": "ann-1",
    "email": "ann@example.com",
    "email_verified": True,
    "groups": ["security", "developers"],
}


@dataclass
class OidcProvider:
    """A running provider. `user` is who signs in next; `forge` may change a token's header and claims."""

    port: int = 0
    keys: dict[str, RSAKey | ECKey | OKPKey] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=lambda: dict(ANN))
    forge: Callable[[dict[str, Any], dict[str, Any]], str | None] | None = None
    device_answers: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What an ID token for Custody says of the user."""
        now = int(time.time())
        return {
            **self.user, "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "jti": secrets.token_hex(8),
        } | changes  # fmt: skip

    def sign(self, claims: dict[str, Any], kid: str = "rsa-1", alg: str = "", **header: Any) -> str:
        """A token under one of the provider's keys."""
        algorithm = alg or {"rsa": "RS256", "ec": "ES256", "okp": "Ed25519"}[kid.partition("-")[0]]
        head = {"alg": algorithm, "kid": kid, **header}
        return jwt.encode(head, claims, self.keys[kid], algorithms=[algorithm])

    def id_token(self, **changes: Any) -> str:
        """A fresh token of the user."""
        return self.sign(self.claims(**changes))

    def answer(self, method: str, url: str, form: dict[str, str]) -> tuple[int, dict[str, Any] | str]:
        """(status, document), or (302, where to)."""
        parts = urlsplit(url)
        self.asked.append(parts.path)
        match parts.path:
            case "/.well-known/openid-configuration":
                return 200, self._discovery() | self.document
            case "/jwks":
                return 200, {"keys": [{**key.as_dict(private=False), "kid": kid} for kid, key in self.keys.items()]}
            case "/auth":
                return 302, self._authorize({name: each[0] for name, each in parse_qs(parts.query).items()})
            case "/token":
                return self._token(form)
            case "/device":
                return 200, self._device()
        return 404, {"error": "not_found"}

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "device_authorization_endpoint": f"{self.issuer}/device",
        }

    def _authorize(self, query: dict[str, str]) -> str:
        assert query["client_id"] == CLIENT and query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def _device(self) -> dict[str, Any]:
        code = secrets.token_urlsafe(16)
        self.devices[code] = "ABCD-EFGH"
        return {
            "device_code": code,
            "user_code": "ABCD-EFGH",
            "verification_uri": f"{self.issuer}/activate",
            "expires_in": 60,
            "interval": 1,
        }

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("grant_type") == "authorization_code":
            asked = self.codes.pop(form.get("code", ""), None)
            digest = sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
                return 400, {"error": "invalid_grant"}
            return 200, self._tokens(self.claims(nonce=asked["nonce"]))
        if form.get("device_code") not in self.devices:
            return 400, {"error": "invalid_grant"}
        if self.device_answers:
            return 400, {"error": self.device_answers.pop(0)}
        del self.devices[form["device_code"]]
        return 200, self._tokens(self.claims())

    def _tokens(self, claims: dict[str, Any]) -> dict[str, Any]:
        token = self.forge({"alg": "RS256", "kid": "rsa-1"}, claims) if self.forge else None
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": token or self.sign(claims)}


class _Handler(BaseHTTPRequestHandler):
    provider: OidcProvider
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self._answer({name: each[0] for name, each in parse_qs(body).items()})

    def _answer(self, form: dict[str, str]) -> None:
        status, document = self.provider.answer(self.command, self.path, form)
        body = b"" if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        if isinstance(document, str):
            self.send_header("Location", document)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def run_provider() -> Iterator[OidcProvider]:
    """A provider on a free port, with a key of each kind."""
    provider = OidcProvider()
    provider.keys = {
        "rsa-1": RSAKey.generate_key(2048),
        "ec-1": ECKey.generate_key("P-256"),
        "okp-1": OKPKey.generate_key("Ed25519"),
    }
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    provider.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[OidcProvider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: OidcProvider) -> OidcProvider:
    """The session's provider, with nothing left of the test before."""
    shared_provider.user = dict(ANN)
    shared_provider.forge = None
    shared_provider.device_answers.clear()
    shared_provider.asked.clear()
    shared_provider.document.clear()
    return shared_provider
