"""Secrets through the HTTP proxy and the generic TCP proxy, every way a client can send or get them."""

import asyncio
import base64
import contextlib
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import websockets

from tests.integration.leaky_upstream import Make

ANSWERS = (
    "json", "text", "html", "gzip", "archive", "utf16", "base64", "headers", "sse", "chunked", "long", "500",
)  # fmt: skip


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


async def run_http(port: int, login: str, make: Make) -> None:
    """All paths of HTTP at a resource's own port."""
    headers = {"Authorization": basic(login)}
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, timeout=30) as client:
        await send_targets(client, make)
        await send_headers(client, make)
        await send_bodies(client, make)
        for name in ANSWERS:
            await client.get(f"/answer/{name}")
    await exchange_messages(port, login, make)
    await fail_logins(port, make)
    await break_protocol(port, login, make)


async def run_proxied(proxy_port: int, upstream_port: int, login: str, make: Make) -> None:
    """The regular proxy: its own kind of request line, and refusals."""
    base, found = f"http://127.0.0.1:{upstream_port}", make("http-proxied")
    async with httpx.AsyncClient(proxy=f"http://{login}@127.0.0.1:{proxy_port}", trust_env=False) as client:
        await client.post(f"{base}/echo", params={"note": found.line()}, content=found.json())
        found = make("http-proxied-nowhere")
        await client.get(f"http://nowhere.invalid/{found.tag}", params={"note": found.line()})
        with contextlib.suppress(httpx.HTTPError):
            await client.get(f"https://{found.values['json_api_key'].lower()}.invalid/")
    found = make("http-proxied-refused")
    for user, password in ((found.values["email"], found.values["password"]), ("nobody", found.values["jwt"])):
        wrong = f"http://{quote(user)}:{quote(password)}@127.0.0.1:{proxy_port}"
        async with httpx.AsyncClient(proxy=wrong, trust_env=False) as client:
            assert (await client.get(f"{base}/{found.tag}", params={"q": found.line()})).status_code == 407


async def run_intercepted(proxy_port: int, upstream_port: int, login: str, authority: Path, make: Make) -> None:
    """HTTPS through the regular proxy, which shows certificates of its own authority."""
    base, found = f"https://127.0.0.1:{upstream_port}", make("https-intercepted")
    trust = ssl.create_default_context(cafile=str(authority))
    for is_second in (False, True):
        async with httpx.AsyncClient(
            proxy=f"http://{login}@127.0.0.1:{proxy_port}", verify=trust, trust_env=False, http1=True, http2=is_second
        ) as client:
            headers = {"X-Note": found.line(), "Cookie": f"session={found.values['json_api_key']}"}
            target = f"{base}/echo?{found.tag}&card={found.values['payment_card']}"
            answer = await client.post(target, headers=headers, content=found.json())
            assert answer.status_code == 200, answer.text
            assert (await client.get(f"{base}/answer/text")).status_code == 200


async def send_targets(client: httpx.AsyncClient, make: Make) -> None:
    found = make("http-query")
    names = {"tag": found.tag, "note": found.line(), "password": found.values["json_password"]}
    names["api_key"] = found.values["json_api_key"]
    # Blanks as %20: as + they would make all words before an e-mail address a part of it.
    await client.get("/echo?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in names.items()))
    await client.get(f"/echo?{found.tag}&{quote(found.values['email'])}&{found.values['payment_card']}")
    found = make("http-path")
    for label in ("payment_card", "us_ssn", "email", "iban", "github_token", "openai_key", "jwt"):
        await client.delete(f"/{found.tag}/{quote(found.values[label])}/end")


async def send_headers(client: httpx.AsyncClient, make: Make) -> None:
    found = make("http-headers")
    headers = {
        "X-Note": found.line(),
        "X-Api-Key": found.values["json_api_key"],
        "X-Auth-Token": found.values["json_password"],
        "Referer": f"http://x.example/?{found.line()}".replace(" ", "+"),
        "User-Agent": f"agent {found.line()}",
        "X-Custody-Plan": found.line(),
        "tracestate": f"vendor={found.values['payment_card']}",
        "baggage": f"user={found.values['email']},card={found.values['payment_card']}",
        f"X-{found.values['payment_card']}": f"a name and {found.values['iban']}",
    }
    await client.get("/echo", headers=headers)
    found = make("http-cookies")
    cookie = f"session={found.values['json_api_key']}; note={quote(found.line())}; password={found.values['password']}"
    await client.get(f"/echo?{found.tag}", headers={"Cookie": cookie})


async def send_bodies(client: httpx.AsyncClient, make: Make) -> None:
    async def post(path: str, kind: str, content: bytes | AsyncIterator[bytes], **headers: str) -> None:
        headers = {"Content-Type": kind, **headers}
        answer = await client.post(f"/echo?path={make(path).tag}", headers=headers, content=content)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)

    await post("http-json", "application/json", make("http-json").json().encode())
    await post("http-form", "application/x-www-form-urlencoded", make("http-form").form().encode())
    await post("http-text", "text/plain", make("http-text").text().encode())
    await post("http-xml", "application/xml", f"<a><note>{make('http-xml').text()}</note></a>".encode())
    await post("http-lies", "image/png", make("http-lies").text().encode())
    await post("http-utf16", "text/plain", make("http-utf16").text().encode("utf-16"))
    await post("http-base64", "text/plain", base64.b64encode(make("http-base64").text().encode()))
    found = make("http-nested-json")
    await post("http-nested-json", "application/json", json.dumps({"body": json.dumps(found.json())}).encode())
    packed = gzip.compress(make("http-gzip").text().encode())
    await post("http-gzip", "text/plain", packed, **{"Content-Encoding": "gzip"})
    await post("http-archive", "application/gzip", gzip.compress(make("http-archive").text().encode()))
    await post("http-chunked", "text/plain", cut(make("http-chunked").text().encode(), 37))
    await post("http-chunked-json", "application/json", cut(make("http-chunked-json").json().encode(), 53))
    found = make("http-telling-keys")
    document = {found.tag: 1, found.values["email"]: {found.values["payment_card"]: found.values["iban"]}}
    await post("http-telling-keys", "application/json", json.dumps(document).encode())
    found = make("http-multipart")
    files = {"file": ("notes.txt", found.text().encode(), "text/plain")}
    fields = {"password": found.values["json_password"], "note": found.line()}
    assert (await client.post(f"/echo?{found.tag}", files=files, data=fields)).status_code == 200
    text = make("http-long").text()
    await post("http-long", "text/plain", (text + "y" * 400_000 + text).encode())


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def exchange_messages(port: int, login: str, make: Make) -> None:
    url, headers = f"ws://127.0.0.1:{port}/answer/websocket", {"Authorization": basic(login)}
    found = make("http-websocket")
    async with websockets.connect(url, additional_headers=headers, proxy=None) as socket:
        for message in (found.json(), found.text(), found.text().encode()):
            await socket.send(message)
            await socket.recv()
        data = found.text()
        await socket.send([data[start : start + 37] for start in range(0, len(data), 37)])  # fragments
        await socket.recv()
        await socket.close(1000, found.values["payment_card"])


async def fail_logins(port: int, make: Make) -> None:
    found = make("http-login")
    logins = [
        basic(f"{found.values['email']}:{found.values['password']}"),
        basic(f"nobody:{found.values['json_password']}"),
        f"Bearer {found.values['jwt']}",
        f"Bearer {found.values['json_api_key']}",
        f'Digest username="{found.values["email"]}", response="{found.values["url_password"]}"',
        found.values["openai_key"],
    ]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for login in logins:
            answer = await client.post(f"/{found.tag}", headers={"Authorization": login}, content=found.json())
            assert answer.status_code in (400, 401), answer.status_code


async def break_protocol(port: int, login: str, make: Make) -> None:
    """Heads that are no HTTP, with and without a login before them."""
    found = make("http-garbage")
    line, text = found.line(), found.text()
    known = f"Authorization: {basic(login)}\r\nHost: x\r\n"
    for wrong in (
        text,
        f"GET /{found.tag}?{line} HTTP/1.1\r\n{known}\r\n",  # blanks in the target
        f"{found.values['github_token']} / HTTP/1.1\r\n{known}\r\n",
        f"GET / HTTP/7.{found.values['payment_card']}\r\n{known}\r\n",
        f"GET / HTTP/1.1\r\n{known}{line}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{known}Content-Length: {found.values['payment_card']}x\r\n\r\n{text}",
        f"POST / HTTP/1.1\r\n{known}Transfer-Encoding: chunked\r\n\r\n{text}\r\n",
        f"GET /x HTTP/1.1\r\n{known}\r\n{text}",  # what follows is no request
        f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{text}",
    ):
        await send_raw(port, wrong.encode())


async def send_raw(port: int, data: bytes, idle_s: float = 1.5) -> bytes:
    """What came back until the other side closed or was silent for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(data)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while True:
                async with asyncio.timeout(idle_s):
                    piece = await reader.read(65_536)
                if not piece:
                    break
                answer += piece
    finally:
        writer.close()
    return answer


async def run_tcp(port: int, make: Make) -> None:
    """Opaque bytes: text, coded text, binary. Records end where no value does (masking/cuts.py)."""
    found = make("tcp-text")
    assert found.values["password"].encode() in await send_raw(port, found.text().encode())
    await send_raw(port, base64.b64encode(make("tcp-base64").text().encode()))
    await send_raw(port, b"\x00\x01\x02" + make("tcp-binary").text().encode() + bytes(range(256)) * 4)
