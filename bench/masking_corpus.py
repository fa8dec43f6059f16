"""The labelled set: database, HTTP, shell and file payloads with what must be masked marked, made from a seed.

Each item says which spans (code points) hold a secret or personal data and of which kind; items without spans are hard
negatives. `python -m bench.masking corpus` writes it as JSON lines, for any tool to be judged on.
"""

import base64
import json
import random
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.masking_values import (
    ALNUM,
    FIRST,
    FORMED,
    HARMLESS,
    HEX,
    PERSONAL,
    PLACED,
    PLACEHOLDERS,
    PREFIXED,
    password,
    pick,
)  # fmt: skip

SEED: Final = 20_240_607
MARK: Final = "\ue000", "\ue001"  # around what must be masked, until the text is whole

ANYWHERE: Final = (
    "export SERVICE_VALUE={v}", 'curl -s https://api.example.com/v1 -H "X-Thing: {v}"', "{{\"ok\": true, \"data\": \"{v}\"}}",
    "2024-05-01 12:00:01 INFO worker started with {v}", "config:\n  upstream: {v}\n  retries: 3", "please use {v} for the call, thanks",
    "GET /v1/items?x=1&k={v} HTTP/1.1\r\nHost: api.example.com\r\n\r\n", "SELECT * FROM t WHERE note = '{v}' LIMIT 5",
    "id,name,note\n1,ann,{v}\n2,bob,none", "client = Client('{v}')", " id | note\n----+------\n  1 | {v}\n(1 row)", "<item>{v}</item>",
)  # fmt: skip
NAMED: Final = (
    "{n}={v}", "export {n}='{v}'", '{n}: "{v}"', '{{"id": 7, "{n}": "{v}", "ok": true}}', "INSERT INTO accounts (id, {n}) VALUES (7, '{v}');",
    "UPDATE accounts SET {n} = '{v}' WHERE id = 7;", "app.{n}={v}\napp.debug=true", "run --{n} {v} --verbose", "const {n} = \"{v}\";",
    "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nid=7&{n}={v}", "<{n}>{v}</{n}>",
    '- name: {n}\n  value: "{v}"', "[main]\n{n} = {v}\nport = 1\n", "{{'id': 7, '{n}': '{v}'}}", 'level=info msg="saved" {n}={v} took=3ms',
)  # fmt: skip
PROSE: Final = {
    "password": ("the password is {v}", "my password: {v}, do not tell", "log in as admin with password {v} please", "password for staging is {v}."),
    "token": ("use token {v} for the request", "here is the access token {v}", "the token is {v}"),
    "api key": ("our api key is {v} now", "I rotated the API key to {v}"),
    "cvv": ("card expires 10/27, CVV {v}", "cvv is {v}"),
    "pin": ("my PIN is {v}", "PIN: {v}"),
    "birth": ("born on {v} in Leeds", "Date of birth: {v}"),
    "passport": ("passport no. {v} expires soon", "Passport number: {v}"),
    "mrn": ("patient MRN {v} admitted", "MRN: {v}"),
    "us ssn": ("her SSN is {v}", "SSN {v} on file"),
    "phone": ("call me at {v}", "Tel: {v}"),
    "account": ("wire it to account number {v}",),
    "driver": ("driver's license number {v}",),
}  # fmt: skip


@dataclass(slots=True)
class Item:
    id: str
    kind: str
    group: str  # secret, personal, harmless
    text: str
    spans: list[tuple[int, int, str]]


def make_corpus(count: int = 5400, seed: int = SEED) -> list[Item]:
    """About `count` items, the same for one seed."""
    rng = random.Random(seed)
    makers = [
        _anywhere,
        _named,
        _table,
        _wrapped,
        _split,
        _prose,
        _files,
        _personal,
        _personal,
        _table,
        _harmless,
        _harmless,
        _placeholder,
    ]
    items: list[Item] = []
    while len(items) < count:
        group, kind, text = rng.choice(makers)(rng)
        items.append(_item(f"{len(items):05d}", group, kind, text))
    return items


def _item(id: str, group: str, kind: str, text: str) -> Item:
    plain, spans, start = "", [], 0
    for char in text:
        if char == MARK[0]:
            start = len(plain)
        elif char == MARK[1]:
            spans.append((start, len(plain), kind))
        else:
            plain += char
    return Item(id, kind, group, plain, spans)


def mark(value: str) -> str:
    return MARK[0] + value + MARK[1]


def _anywhere(rng: random.Random) -> tuple[str, str, str]:
    kind = rng.choice(list(PREFIXED))
    value = PREFIXED[kind](rng)
    if kind == "private key":
        return (
            "secret",
            kind,
            rng.choice(["{v}\n", "key: |\n{v}\n", "cat id_rsa\n{v}\n$ ", "x\n{v}\ny"]).format(v=mark(value)),
        )
    return "secret", kind, rng.choice(ANYWHERE).format(v=mark(value))


def _named(rng: random.Random) -> tuple[str, str, str]:
    kind = rng.choice(list(PLACED))
    names, make = PLACED[kind]
    return "secret", kind, rng.choice(NAMED).format(n=rng.choice(names), v=mark(make(rng)))


def _personal(rng: random.Random) -> tuple[str, str, str]:
    kind = rng.choice(list(PERSONAL))
    names, make = PERSONAL[kind]
    templates = [*NAMED, *(ANYWHERE * 2 if kind in FORMED else ())]
    return "personal", kind, rng.choice(templates).format(n=rng.choice(names), v=mark(make(rng)))


def _prose(rng: random.Random) -> tuple[str, str, str]:
    kind = rng.choice(list(PROSE))
    group = "secret" if kind in PLACED else "personal"
    make = (PLACED if kind in PLACED else PERSONAL)[kind][1]
    return group, kind, rng.choice(PROSE[kind]).format(v=mark(make(rng)))


def _table(rng: random.Random) -> tuple[str, str, str]:
    group, source = rng.choice([("secret", PLACED), ("personal", PERSONAL)])
    kind = rng.choice(list(source))
    names, make = source[kind]
    columns = ["id", "name", rng.choice(names).lower(), "created"]
    rows = [
        [str(i + 1), rng.choice(FIRST), mark(make(rng)), f"2024-0{rng.randrange(1, 9)}-1{i}"]
        for i in range(rng.randrange(1, 6))
    ]
    return (
        group,
        kind,
        rng.choice([_psql, _mysql, _csv, _tsv, _json_rows, _json_objects, _record, _copy, _markdown, _insert])(
            columns, rows
        ),
    )


def _width(text: str) -> int:
    return len(text.replace(MARK[0], "").replace(MARK[1], ""))


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _psql(columns: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(_width, column)) for column in zip(columns, *rows, strict=True)]
    lines = [" " + " | ".join(map(_pad, row, widths)) for row in (columns, *rows)]
    return "\n".join([lines[0], "+".join("-" * (w + 2) for w in widths), *lines[1:], f"({len(rows)} rows)", ""])


def _mysql(columns: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(_width, column)) for column in zip(columns, *rows, strict=True)]
    rule = "+" + "+".join("-" * (w + 2) for w in widths) + "+"
    lines = ["| " + " | ".join(map(_pad, row, widths)) + " |" for row in (columns, *rows)]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule, ""])


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    return "\n".join(["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows)])


def _csv(columns: list[str], rows: list[list[str]]) -> str:
    return "\n".join(",".join(row) for row in (columns, *rows)) + "\n"


def _tsv(columns: list[str], rows: list[list[str]]) -> str:
    return "\n".join("\t".join(row) for row in (columns, *rows)) + "\n"


def _json_rows(columns: list[str], rows: list[list[str]]) -> str:
    return _json({"columns": columns, "rows": rows})


def _json_objects(columns: list[str], rows: list[list[str]]) -> str:
    return _json([dict(zip(columns, row, strict=True)) for row in rows])


def _record(columns: list[str], rows: list[list[str]]) -> str:
    width = max(map(len, columns))
    lines = []
    for number, row in enumerate(rows, 1):
        lines.append(f"-[ RECORD {number} ]---")
        lines += [f"{_pad(column, width)} | {value}" for column, value in zip(columns, row, strict=True)]
    return "\n".join(lines)


def _copy(columns: list[str], rows: list[list[str]]) -> str:
    head = f"COPY public.people ({', '.join(columns)}) FROM stdin;\n"
    return head + "\n".join("\t".join(row) for row in rows) + "\n\\.\n"


def _insert(columns: list[str], rows: list[list[str]]) -> str:
    values = ", ".join("(" + ", ".join(f"'{value}'" for value in row) + ")" for row in rows)
    return f"INSERT INTO people ({', '.join(columns)}) VALUES {values};"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _wrapped(rng: random.Random) -> tuple[str, str, str]:
    word = password(rng)
    kind = rng.choice(
        ["basic auth", "k8s secret", "token in base64", "json in base64", "docker auth", "json in json", "url encoded"]
    )
    prefixed = PREFIXED[rng.choice([k for k in PREFIXED if k not in ("private key", "password hash")])](rng)
    match kind:
        case "basic auth":
            text = f"GET / HTTP/1.1\r\nAuthorization: Basic {mark(_b64(f'svc:{word}'))}\r\n\r\n"
        case "k8s secret":
            text = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  {rng.choice(['password', 'pw.txt', 'DB_PASS'])}: {mark(_b64(word))}\n"
        case "token in base64":
            text = rng.choice(ANYWHERE[:6]).format(v=mark(_b64(prefixed)))
        case "json in base64":
            text = f"payload={mark(_b64(json.dumps({'user': 'a', 'password': word})))}"
        case "docker auth":
            text = _json({"auths": {"registry.example.com": {"auth": mark(_b64(f"bot:{word}"))}}})
        case "json in json":
            text = _json({"body": _json({"user": "a", "api_key": mark(pick(rng, ALNUM, 32))})})
        case _:
            text = f"GET /cb?next=https%3A%2F%2Fx.example%2F%3Faccess_token%3D{mark(pick(rng, ALNUM, 30))}%26a%3D1 HTTP/1.1"
    return "secret", kind, text


def _split(rng: random.Random) -> tuple[str, str, str]:
    kind = rng.choice(["backslash", "yaml folded", "concatenated", "wrapped", "pem in json"])
    value = PREFIXED[rng.choice(["github", "stripe", "anthropic", "sendgrid", "npm", "databricks", "openai"])](rng)
    at = rng.randrange(12, len(value) - 6)
    head, tail = value[:at], value[at:]
    match kind:
        case "backslash":
            text = f"curl -H 'X: y' \\\n  --data {mark(head + chr(92) + chr(10) + tail)} \\\n  https://x.example"
        case "yaml folded":
            secret = pick(rng, ALNUM, 60)
            text = f"api_key: >-\n  {mark(secret[:30] + chr(10) + '  ' + secret[30:])}\nnext: 1\n"
        case "concatenated":
            text = f'KEY = ("{mark(head + chr(34) + chr(10) + "       " + chr(34) + tail)}")\n'
        case "wrapped":
            body = _b64(json.dumps({"login": "svc", "password": password(rng), "pad": "x" * 60}))
            text = "Content-Transfer-Encoding: base64\n\n" + mark("\n".join(textwrap.wrap(body, 76))) + "\n"
        case _:
            text = _json({"private_key_id": pick(rng, HEX, 40), "key": mark(PREFIXED["private key"](rng))})
    return "secret", kind, text


def _files(rng: random.Random) -> tuple[str, str, str]:
    word = (
        password(rng)
        .replace("'", "")
        .replace("@", "-")
        .replace("/", "-")
        .replace(":", "-")
        .replace("#", "-")
        .replace("?", "-")
        .replace("%", "-")
        .replace("^", "-")
    )
    kind = rng.choice(
        [
            "netrc",
            "pgpass",
            "htpasswd",
            "shadow",
            "url",
            "npmrc",
            "cookie",
            "set-cookie",
            "bearer",
            "curl -u",
            "mysql -p",
            "jdbc",
            "ado",
            "odbc",
            "wireguard",
            "redis",
            "slack webhook",
            "sas",
            "sentry",
            "kubeconfig",
            "wp-config",
            "chpasswd",
            "sshpass",
            "psql role",
            "presigned",
        ]
    )
    v = mark(word)
    texts = {
        "netrc": f"machine git.example.com\n  login ci\n  password {v}\n",
        "pgpass": f"db.example.com:5432:app:svc:{v}\n",
        "htpasswd": f"admin:{mark('$apr1$' + pick(rng, ALNUM, 8) + '$' + pick(rng, ALNUM + './', 22))}\n",
        "shadow": f"root:{mark('$6$' + pick(rng, ALNUM, 8) + '$' + pick(rng, ALNUM + './', 86))}:19000:0:99999:7:::\n",
        "url": rng.choice(["postgres://app:{v}@db:5432/x", "mongodb+srv://u:{v}@c0.example.net/?w=1", "redis://:{v}@cache:6379/0", "amqp://svc:{v}@mq/vh", "https://bot:{v}@git.example.com/r.git", "mysql+pymysql://app:{v}@db/x"]).format(v=v),
        "npmrc": f"registry=https://r.example\n//r.example/:_authToken={mark(pick(rng, ALNUM, 36))}\n",
        "cookie": f"GET / HTTP/1.1\r\nCookie: session={mark(pick(rng, ALNUM, 32))}\r\n\r\n",
        "set-cookie": f"HTTP/1.1 200 OK\r\nSet-Cookie: sid={mark(pick(rng, ALNUM, 40))}; Path=/; HttpOnly\r\n\r\n",
        "bearer": f"Authorization: Bearer {mark(pick(rng, ALNUM, 40))}\r\n",
        "curl -u": f"curl -u admin:{v} https://x.example/api",
        "mysql -p": f"mysql -h db -u root -p{v} app",
        "jdbc": f"jdbc:sqlserver://db:1433;databaseName=x;user=sa;password={v};encrypt=true",
        "ado": f"Server=db;Database=x;User Id=sa;Password={v};Encrypt=yes;",
        "odbc": f"DRIVER={{ODBC}};SERVER=db;UID=sa;PWD={v}",
        "wireguard": f"[Interface]\nPrivateKey = {mark(base64.b64encode(rng.randbytes(32)).decode())}\nAddress = 10.0.0.2/32\n",
        "redis": f"redis-cli -h cache -a {v} ping",
        "slack webhook": mark(f"https://hooks.slack.com/services/T{pick(rng, ALNUM.upper()[:36], 8)}/B{pick(rng, ALNUM.upper()[:36], 8)}/{pick(rng, ALNUM, 24)}"),
        "sas": f"https://acct.blob.core.windows.net/c?sv=2022-11-02&se=2025-01-01&sr=c&sp=rl&sig={mark(pick(rng, ALNUM, 41) + '%2B%3D')}",
        "sentry": f"SENTRY=https://{mark(pick(rng, HEX, 32))}@o12345.ingest.sentry.io/6789",
        "kubeconfig": f"users:\n- name: admin\n  user:\n    client-key-data: {mark(_b64('-----BEGIN RSA PRIVATE KEY-----' + chr(10) + pick(rng, ALNUM, 64)))}\n",
        "wp-config": f"define( 'DB_PASSWORD', '{v}' );",
        "chpasswd": f"echo 'deploy:{v}' | chpasswd",
        "sshpass": f"sshpass -p '{v}' ssh root@host uptime",
        "psql role": f"CREATE ROLE app LOGIN PASSWORD '{v}';",
        "presigned": f"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature={mark(pick(rng, HEX, 64))}",
    }  # fmt: skip
    return "secret", kind, texts[kind]


def _harmless(rng: random.Random) -> tuple[str, str, str]:
    kind = rng.choice(list(HARMLESS))
    value = HARMLESS[kind](rng)
    return (
        "harmless",
        kind,
        rng.choice([*ANYWHERE, "id={v}", '{{"id": "{v}", "ref": "{v}"}}', "commit {v} merged", "value: {v}"]).format(
            v=value
        ),
    )


def _placeholder(rng: random.Random) -> tuple[str, str, str]:
    value = rng.choice(PLACEHOLDERS)
    names, _ = PLACED[rng.choice(["password", "api key", "token", "client secret"])]
    return (
        "harmless",
        "placeholder",
        rng.choice(["{n}={v}", "{n}: {v}", '{{"{n}": "{v}"}}', "{n} = {v}"]).format(n=rng.choice(names), v=value),
    )


def as_lines(items: list[Item]) -> Iterator[str]:
    for item in items:
        spans = [{"start": s, "end": e, "label": label} for s, e, label in item.spans]
        yield json.dumps({"id": item.id, "kind": item.kind, "group": item.group, "text": item.text, "spans": spans})
