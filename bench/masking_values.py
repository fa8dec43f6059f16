"""Values for the labelled set: secrets and personal data in their issuers' forms, and what only looks like them.

Made from a seed, by generators that know nothing of the detectors. Nothing here is or was anybody's.
"""

import base64
import hashlib
import json
import random
import string
import uuid
from collections.abc import Callable
from typing import Final

Make = Callable[[random.Random], str]

LOWER: Final = string.ascii_lowercase + string.digits
ALNUM: Final = string.ascii_letters + string.digits
HEX: Final = "0123456789abcdef"
URLSAFE: Final = ALNUM + "-_"
B64: Final = ALNUM + "+/"
B32: Final = string.ascii_uppercase + "234567"
WORDS: Final = (
    "river copper window silent maple orbit harbor velvet lantern ginger falcon meadow pepper tundra walnut comet "
    "saddle marble violin cactus anchor timber puzzle rocket summit canyon bamboo ribbon hazel quartz"
).split()
FIRST: Final = "maria john wei fatima pierre olga carlos anna ahmed kim lena tom aisha ivan sofia raj".split()
LAST: Final = "garcia smith chen khan dubois petrov silva kowalski hassan tanaka muller brown novak rossi".split()


def pick(rng: random.Random, alphabet: str, count: int) -> str:
    return "".join(rng.choices(alphabet, k=count))


def token(prefix: str, alphabet: str, count: int, suffix: str = "") -> Make:
    return lambda rng: prefix + pick(rng, alphabet, count) + suffix


def password(rng: random.Random) -> str:
    style = rng.randrange(5)
    word = rng.choice(WORDS)
    if style == 0:
        return word.capitalize() + str(rng.randrange(10, 9999)) + rng.choice("!@#$%*")
    if style == 1:
        return pick(rng, ALNUM, rng.randrange(10, 18))
    if style == 2:
        return "-".join(rng.sample(WORDS, 3)) + str(rng.randrange(100))
    if style == 3:
        return word + rng.choice("_.@!") + pick(rng, LOWER, 5)
    return pick(rng, ALNUM + "!@#%^*_+=~?.", rng.randrange(12, 20)).strip("!@#%^*_+=~?.") or word + "7"


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(rng: random.Random) -> str:
    head = b64url(json.dumps({"alg": rng.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}).encode())
    body = b64url(
        json.dumps({"sub": pick(rng, "0123456789", 10), "name": rng.choice(FIRST), "iat": 1700000000}).encode()
    )
    return f"{head}.{body}.{pick(rng, URLSAFE, 43)}"


def luhn_digit(digits: str) -> str:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if index % 2 == 0 else 1)
        total += number - 9 if number > 9 else number
    return str(-total % 10)


def card_digits(rng: random.Random) -> str:
    prefix, length = rng.choice(
        [
            ("4", 16),
            ("51", 16),
            ("55", 16),
            ("2221", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("3530", 16),
            ("36", 14),
        ]
    )
    digits = prefix + pick(rng, string.digits, length - len(prefix) - 1)
    return digits + luhn_digit(digits)


def card(rng: random.Random) -> str:
    digits = card_digits(rng)
    separator = rng.choice(["", "", " ", "-"])
    if len(digits) == 15:
        return separator.join((digits[:4], digits[4:10], digits[10:]))
    if len(digits) == 14:
        return separator.join((digits[:4], digits[4:10], digits[10:]))
    return separator.join(digits[i : i + 4] for i in range(0, 16, 4))


def iban(rng: random.Random) -> str:
    country, length = rng.choice(
        [("DE", 18), ("NL", -1), ("FR", 23), ("ES", 20), ("GB", -2), ("PL", 24), ("CH", 17), ("AT", 16)]
    )
    if length == -1:
        body = pick(rng, string.ascii_uppercase, 4) + pick(rng, string.digits, 10)
    elif length == -2:
        body = pick(rng, string.ascii_uppercase, 4) + pick(rng, string.digits, 14)
    else:
        body = pick(rng, string.digits, length)
    if country == "FR":
        body = body[:21]
        body = body + f"{97 - (int(body[:5]) * 89 + int(body[5:10]) * 15 + int(body[10:21]) * 3) % 97:02d}"
    if country == "ES":
        bank, account = body[:8], body[10:20]
        weights = [1, 2, 4, 8, 5, 10, 9, 7, 3, 6]
        check = [
            11 - sum(w * int(d) for w, d in zip(weights, part, strict=True)) % 11 for part in ("00" + bank, account)
        ]
        body = bank + "".join({10: "1", 11: "0"}.get(c, str(c)) for c in check) + account
    if country == "PL":
        weights = [3, 9, 7, 1, 3, 9, 7]
        body = body[:7] + str(-sum(w * int(d) for w, d in zip(weights, body[:7], strict=True)) % 10) + body[8:]
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    whole = f"{country}{98 - number % 97:02d}{body}"
    return whole if rng.random() < 0.5 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))


def ssn(rng: random.Random) -> str:
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03d}-{rng.randrange(1, 100):02d}-{rng.randrange(1, 10000):04d}"


def email(rng: random.Random) -> str:
    host = rng.choice(["example.com", "mail.example.org", "corp.example.net", "gmail.com", "uni-x.example.de"])
    return f"{rng.choice(FIRST)}{rng.choice(['.', '_', ''])}{rng.choice(LAST)}{rng.choice(['', str(rng.randrange(99))])}@{host}"


def phone(rng: random.Random) -> str:
    area = rng.choice(["212", "415", "503", "617", "713", "305", "206"])
    exchange, line = f"{rng.randrange(200, 999)}", f"{rng.randrange(10000):04d}"
    if exchange[1:] == "11":
        exchange = "234"
    return rng.choice([
        f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"+1 {area} {exchange} {line}", f"+1-{area}-{exchange}-{line}",
        f"+44 20 7946 {line}", f"+49 30 {rng.randrange(10000000, 99999999)}", f"+33 6 {rng.randrange(10, 99)} {rng.randrange(10, 99)} {rng.randrange(10, 99)} {rng.randrange(10, 99)}",
        f"+1{area}{exchange}{line}", f"{area}.{exchange}.{line}",
    ])  # fmt: skip


def ipv4(rng: random.Random) -> str:
    return f"{rng.choice([8, 23, 54, 81, 93, 141, 185, 203])}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def ipv6(rng: random.Random) -> str:
    return "2a02:" + ":".join(f"{rng.randrange(1, 65536):x}" for _ in range(7))


def mac(rng: random.Random) -> str:
    return ":".join(f"{rng.randrange(256):02x}" for _ in range(6))


def date(rng: random.Random) -> str:
    year, month, day = rng.randrange(1940, 2006), rng.randrange(1, 13), rng.randrange(1, 29)
    return rng.choice(
        [f"{year}-{month:02d}-{day:02d}", f"{month:02d}/{day:02d}/{year}", f"{day:02d}.{month:02d}.{year}"]
    )


def nhs(rng: random.Random) -> str:
    while True:
        digits = pick(rng, string.digits, 9)
        check = 11 - sum((10 - i) * int(d) for i, d in enumerate(digits)) % 11
        if check != 10:
            whole = digits + str(check % 11)
            return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def npi(rng: random.Random) -> str:
    digits = "1" + pick(rng, string.digits, 8)
    return digits + luhn_digit("80840" + digits)


def mbi(rng: random.Random) -> str:
    letters = "ACDEFGHJKMNPQRTUVWXY"
    a, d = (lambda: rng.choice(letters)), (lambda: rng.choice(string.digits))
    return f"{rng.randrange(1, 10)}{a()}{d()}{d()}{a()}{d()}{d()}{a()}{a()}{d()}{d()}"


def cpf(rng: random.Random) -> str:
    digits = [rng.randrange(10) for _ in range(9)]
    for _ in range(2):
        total = sum((len(digits) + 1 - i) * d for i, d in enumerate(digits))
        digits.append((total * 10 % 11) % 10)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def dni(rng: random.Random) -> str:
    number = rng.randrange(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def pesel(rng: random.Random) -> str:
    digits = (
        f"{rng.randrange(50, 99):02d}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}{rng.randrange(10000):04d}"
    )
    total = sum(w * int(d) for w, d in zip([1, 3, 7, 9, 1, 3, 7, 9, 1, 3], digits, strict=True))
    return digits + str(-total % 10)


def nino(rng: random.Random) -> str:
    return f"{rng.choice('ABCEHJKLMPRSTWXYZ')}{rng.choice('ABCEHJKLMPRSTWXYZ')}{rng.randrange(1000000):06d}{rng.choice('ABCD')}".replace(
        "GB", "AB"
    ).replace("BG", "AB")


def aadhaar(rng: random.Random) -> str:
    d = [[0,1,2,3,4,5,6,7,8,9],[1,2,3,4,0,6,7,8,9,5],[2,3,4,0,1,7,8,9,5,6],[3,4,0,1,2,8,9,5,6,7],[4,0,1,2,3,9,5,6,7,8],[5,9,8,7,6,0,4,3,2,1],[6,5,9,8,7,1,0,4,3,2],[7,6,5,9,8,2,1,0,4,3],[8,7,6,5,9,3,2,1,0,4],[9,8,7,6,5,4,3,2,1,0]]  # fmt: skip
    p = [[0,1,2,3,4,5,6,7,8,9],[1,5,7,6,2,8,3,0,9,4],[5,8,0,3,7,9,6,1,4,2],[8,9,1,6,0,4,3,5,2,7],[9,4,5,3,1,2,6,8,7,0],[4,2,8,6,5,7,3,9,0,1],[2,7,9,3,8,0,6,4,1,5],[7,0,4,6,9,1,3,2,5,8]]  # fmt: skip
    inverse = [0, 4, 3, 2, 1, 5, 6, 7, 8, 9]
    digits = str(rng.randrange(2, 10)) + pick(rng, string.digits, 10)
    check = 0
    for index, digit in enumerate(reversed(digits)):
        check = d[check][p[(index + 1) % 8][int(digit)]]
    whole = digits + str(inverse[check])
    return f"{whole[:4]} {whole[4:8]} {whole[8:]}"


def bcrypt(rng: random.Random) -> str:
    return f"${rng.choice(['2a', '2b', '2y'])}$1{rng.randrange(3)}${pick(rng, './' + ALNUM, 53)}"


def password_hash(rng: random.Random) -> str:
    crypt = "./" + ALNUM
    return rng.choice([
        bcrypt(rng),
        f"$6${pick(rng, crypt, 16)}${pick(rng, crypt, 86)}",
        f"$5$rounds=5000${pick(rng, crypt, 16)}${pick(rng, crypt, 43)}",
        f"$argon2id$v=19$m=65536,t=3,p=4${pick(rng, B64, 22)}${pick(rng, B64, 43)}",
        f"pbkdf2_sha256$600000${pick(rng, ALNUM, 22)}${pick(rng, B64, 43)}=",
        f"$apr1${pick(rng, crypt, 8)}${pick(rng, crypt, 22)}",
        f"$1${pick(rng, crypt, 8)}${pick(rng, crypt, 22)}",
        f"{{SSHA}}{pick(rng, B64, 32)}",
        f"SCRAM-SHA-256$4096:{pick(rng, B64, 22)}==${pick(rng, B64, 43)}=:{pick(rng, B64, 43)}=",
        f"$y$j9T${pick(rng, crypt, 22)}${pick(rng, crypt, 43)}",
    ])  # fmt: skip


def pem(rng: random.Random) -> str:
    kind = rng.choice(
        ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]
    )
    lines = [
        "MII" + pick(rng, B64, 61),
        *(pick(rng, B64, 64) for _ in range(rng.randrange(3, 10))),
        pick(rng, B64, 22) + "==",
    ]
    return f"-----BEGIN {kind}-----\n" + "\n".join(lines) + f"\n-----END {kind}-----"


PREFIXED: Final[dict[str, Make]] = {
    "aws key id": token("AKIA", B32, 16),
    "github": token("ghp_", ALNUM, 36),
    "github fine": lambda rng: f"github_pat_{pick(rng, ALNUM, 22)}_{pick(rng, ALNUM, 59)}",
    "gitlab": token("glpat-", URLSAFE, 20),
    "slack bot": lambda rng: (
        f"xoxb-{pick(rng, string.digits, 12)}-{pick(rng, string.digits, 13)}-{pick(rng, ALNUM, 24)}"
    ),
    "stripe": token("sk_live_", ALNUM, 24),
    "stripe webhook": token("whsec_", ALNUM, 32),
    "google api": token("AIza", URLSAFE, 35),
    "openai": lambda rng: f"sk-proj-{pick(rng, URLSAFE, 74)}T3BlbkFJ{pick(rng, URLSAFE, 74)}",
    "openai old": lambda rng: f"sk-{pick(rng, ALNUM, 20)}T3BlbkFJ{pick(rng, ALNUM, 20)}",
    "anthropic": lambda rng: f"sk-ant-api03-{pick(rng, URLSAFE, 93)}AA",
    "huggingface": token("hf_", string.ascii_letters, 34),
    "groq": token("gsk_", ALNUM, 52),
    "npm": token("npm_", ALNUM, 36),
    "pypi": lambda rng: "pypi-AgEIcHlwaS5vcmc" + pick(rng, URLSAFE, 150),
    "sendgrid": lambda rng: f"SG.{pick(rng, URLSAFE, 22)}.{pick(rng, URLSAFE, 43)}",
    "twilio key": token("SK", HEX, 32),
    "mailgun": token("key-", HEX, 32),
    "digitalocean": token("dop_v1_", HEX, 64),
    "databricks": token("dapi", HEX, 32),
    "vault": token("hvs.", ALNUM, 90),
    "telegram bot": lambda rng: f"{pick(rng, '123456789', 10)}:AA{pick(rng, URLSAFE, 33)}",
    "discord bot": lambda rng: (
        f"{b64url(pick(rng, '123456789', 18).encode())}.{pick(rng, URLSAFE, 6)}.{pick(rng, URLSAFE, 38)}"
    ),
    "shopify": token("shpat_", HEX, 32),
    "square": token("sq0atp-", URLSAFE, 22),
    "grafana": lambda rng: f"glsa_{pick(rng, ALNUM, 32)}_{pick(rng, HEX, 8)}",
    "newrelic": token("NRAK-", string.ascii_uppercase + string.digits, 27),
    "dockerhub": token("dckr_pat_", URLSAFE, 27),
    "terraform": lambda rng: f"{pick(rng, ALNUM, 14)}.atlasv1.{pick(rng, ALNUM, 67)}",
    "age": lambda rng: "AGE-SECRET-KEY-1" + pick(rng, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "jwt": jwt,
    "azure ad secret": lambda rng: f"{pick(rng, ALNUM, 3)}8Q~{pick(rng, ALNUM + '-_~.', 33)}a",
    "linear": token("lin_api_", ALNUM, 40),
    "notion": lambda rng: f"ntn_{pick(rng, string.digits, 11)}{pick(rng, ALNUM, 35)}",
    "planetscale": token("pscale_pw_", ALNUM, 43),
    "supabase": token("sbp_", HEX, 40),
    "doppler": token("dp.pt.", ALNUM, 43),
    "rubygems": token("rubygems_", HEX, 48),
    "password hash": password_hash,
    "private key": pem,
}
PLACED: Final[dict[str, tuple[tuple[str, ...], Make]]] = {
    "password": (
        ("password", "db_password", "passwd", "user_pass", "PGPASSWORD", "smtpPassword", "admin_pwd"),
        password,
    ),
    "aws secret": (("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "secretAccessKey"), token("", B64, 40)),
    "api key": (("api_key", "apiKey", "X_API_KEY", "maps_api_key", "stripeApiKey"), token("", ALNUM, 32)),
    "hex key": (("api_key", "datadog_api_key", "DD_API_KEY", "secret_key", "signing_key"), token("", HEX, 32)),
    "client secret": (("client_secret", "clientSecret", "OAUTH_CLIENT_SECRET"), token("", URLSAFE, 40)),
    "token": (("access_token", "refresh_token", "auth_token", "session_token", "token"), token("", URLSAFE, 36)),
    "account key": (("AccountKey", "storage_account_key"), lambda rng: base64.b64encode(rng.randbytes(64)).decode()),
    "totp seed": (("totp_secret", "otp_secret", "mfa_secret"), token("", B32, 32)),
    "recovery code": (("recovery_code", "backup_code"), lambda rng: f"{pick(rng, LOWER, 5)}-{pick(rng, LOWER, 4)}7"),
    "session": (("session_key", "PHPSESSID", "JSESSIONID", "sessionid"), token("", LOWER, 32)),
    "cvv": (("cvv", "card_cvv", "cvc"), lambda rng: pick(rng, string.digits, 3)),
    "pin": (("pin", "card_pin", "atm_pin"), lambda rng: pick(rng, string.digits, 4)),
    "webhook secret": (("webhook_secret", "WEBHOOK_SIGNING_SECRET"), token("", HEX, 40)),
    "private key hex": (("private_key", "wallet_private_key"), lambda rng: "0x" + pick(rng, HEX, 64)),
    "salt": (("password_hash", "passwd_hash"), token("", HEX, 40)),
}
PERSONAL: Final[dict[str, tuple[tuple[str, ...], Make]]] = {
    "email": (("email", "contact_email", "user_email"), email),
    "payment card": (("card_number", "pan", "cc_number"), card),
    "iban": (("iban", "bank_iban"), iban),
    "us ssn": (("ssn", "social_security_number"), ssn),
    "phone": (("phone", "mobile", "phone_number", "contact_phone"), phone),
    "ip": (("ip_address", "client_ip", "remote_addr"), ipv4),
    "ipv6": (("ip_address", "client_ip"), ipv6),
    "mac": (("mac_address", "hwaddr"), mac),
    "birth": (("date_of_birth", "dob", "birth_date"), date),
    "passport": (("passport_number", "passport_no"), lambda rng: rng.choice("CFGHKLX") + pick(rng, string.digits, 8)),
    "driver": (
        ("driver_license", "drivers_license_number"),
        lambda rng: rng.choice("ABDSW") + pick(rng, string.digits, 7),
    ),
    "nhs": (("nhs_number",), nhs),
    "npi": (("npi", "provider_npi"), npi),
    "mbi": (("mbi", "medicare_id"), mbi),
    "mrn": (("mrn", "medical_record_number"), lambda rng: pick(rng, string.digits, 8)),
    "cpf": (("cpf",), cpf),
    "dni": (("dni", "national_id"), dni),
    "pesel": (("pesel",), pesel),
    "nino": (("nino", "national_insurance_number"), nino),
    "aadhaar": (("aadhaar", "aadhaar_number"), aadhaar),
    "ein": (("ein", "tax_id"), lambda rng: f"{rng.choice(['12', '36', '47', '82'])}-{pick(rng, string.digits, 7)}"),
    "account": (("account_number", "bank_account"), lambda rng: pick(rng, "123456789", 10)),
    "routing": (("routing_number", "aba_routing"), lambda rng: "021" + pick(rng, string.digits, 6)),
}
FORMED: Final = ("email", "payment card", "iban", "us ssn", "phone", "ip", "ipv6", "cpf")  # known wherever they stand


def _bad_luhn(rng: random.Random) -> str:
    digits = card_digits(rng)
    return digits[:-1] + str((int(digits[-1]) + rng.randrange(1, 9)) % 10)


HARMLESS: Final[dict[str, Make]] = {
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "sha1": lambda rng: hashlib.sha1(rng.randbytes(8), usedforsecurity=False).hexdigest(),
    "sha256": lambda rng: hashlib.sha256(rng.randbytes(8)).hexdigest(),
    "md5": lambda rng: hashlib.md5(rng.randbytes(8), usedforsecurity=False).hexdigest(),
    "short git hash": token("", HEX, 8),
    "failing luhn": _bad_luhn,
    "build id": lambda rng: (
        f"build-{rng.randrange(2020, 2026)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}.{rng.randrange(100)}"
    ),
    "image": lambda rng: (
        "data:image/png;base64,iVBORw0KGgo" + base64.b64encode(rng.randbytes(rng.randrange(60, 300))).decode()
    ),
    "timestamp": lambda rng: (
        f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}.{rng.randrange(1000):03d}Z"
    ),
    "epoch ms": lambda rng: f"17{pick(rng, string.digits, 11)}",
    "epoch ns": lambda rng: f"17{pick(rng, string.digits, 17)}",
    "version": lambda rng: f"{rng.randrange(20)}.{rng.randrange(30)}.{rng.randrange(40)}",
    "four part version": lambda rng: (
        f"version {rng.randrange(3)}.{rng.randrange(30)}.{rng.randrange(40)}.{rng.randrange(400, 9000)}"
    ),
    "order number": lambda rng: f"ORD-{rng.randrange(10**7, 10**8)}",
    "long order number": lambda rng: pick(rng, "123456789", 12),
    "colour": lambda rng: "#" + pick(rng, HEX, 6),
    "image digest": lambda rng: "nginx@sha256:" + pick(rng, HEX, 64),
    "etag": lambda rng: f'W/"{pick(rng, HEX, 32)}"',
    "trace id": lambda rng: f"00-{pick(rng, HEX, 32)}-{pick(rng, HEX, 16)}-01",
    "object id": lambda rng: pick(rng, HEX, 24),
    "float": lambda rng: f"{rng.random():.16f}",
    "public key": lambda rng: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + pick(rng, B64, 43) + " ci@build",
    "certificate": lambda rng: (
        "-----BEGIN CERTIFICATE-----\n"
        + "\n".join(pick(rng, B64, 64) for _ in range(5))
        + "\n-----END CERTIFICATE-----"
    ),
    "integrity": lambda rng: "sha512-" + base64.b64encode(rng.randbytes(64)).decode(),
    "coordinates": lambda rng: f"{rng.uniform(-90, 90):.6f}, {rng.uniform(-180, 180):.6f}",
    "isbn": lambda rng: (
        "978-"
        + "-".join(
            (
                pick(rng, string.digits, 1),
                pick(rng, string.digits, 4),
                pick(rng, string.digits, 4),
                pick(rng, string.digits, 1),
            )
        )
    ),
    "tracking": lambda rng: "1Z" + pick(rng, string.ascii_uppercase + string.digits, 16),
    "arn": lambda rng: f"arn:aws:iam::{pick(rng, string.digits, 12)}:role/deploy",
    "ulid": lambda rng: "01H" + pick(rng, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23),
    "file name": lambda rng: f"bundle.{pick(rng, HEX, 20)}.min.js",
    "phone-like id": lambda rng: f"{rng.randrange(1000)}-{rng.randrange(100000)}-{rng.randrange(100)}",
}
PLACEHOLDERS: Final = (
    "<YOUR_API_KEY>", "${API_KEY}", "xxxxxxxxxxxxxxxx", "changeme", "your-api-key-here", "********", "REDACTED", "$DB_PASSWORD",
    "{{ vault_password }}", "process.env.API_KEY", "os.environ['SECRET']", "null", "<password>", "%(password)s", "...", "TODO",
    "[FILTERED]", "example", "$(cat /run/secrets/db)", "{{ .Values.db.password }}", "${{ secrets.NPM_TOKEN }}", "YOUR_TOKEN_HERE",
)  # fmt: skip
