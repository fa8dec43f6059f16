import pytest

from masking.names import label_of, secret_span


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("password", "password"),
        ("user_password", "password"),
        ("userPassword2", "password"),
        ("DB_PASSWD", "password"),
        ("dbpassword", "password"),
        ("X-Api-Key", "api_key"),
        ("apiKey", "api_key"),
        ("clientSecret", "secret"),
        ("aws_secret_access_key", "secret"),
        ("accessToken", "token"),
        ("Authorization", "http_authorization"),
        ("customer.card_number", "payment_card"),
        ("CVV2", "card_cvv"),
        ("ssn", "us_ssn"),
        ("emailAddress", "email"),
        ("téléphone", "phone"),
        ("Numéro de Sécurité Sociale", "national_id"),
        ("CONTRASEÑA", "password"),
        ("fødselsnummer", "national_id"),
        ("密码", "password"),
        ("주민등록번호", "national_id"),
        ("x" * 500 + "_password", "password"),
    ],
)
def test_telling_names(name, label):
    named = label_of(name)
    assert named is not None and named.label == label


@pytest.mark.parametrize(
    "name", ["", "id", "max_tokens", "next_page_token", "token_type", "public_key", "primaryKey", "passenger"]
)
def test_other_names(name):
    assert label_of(name) is None


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("password", b"x", b"x"),
        ("authorization", b"Bearer abcdefgh", b"abcdefgh"),
        ("token", b"abcd1234", b"abcd1234"),
        ("pin", b"1234", b"1234"),
        ("card_number", b"5555 4444 3333", b"5555 4444 3333"),
        ("email", b"a@b", b"a@b"),
    ],
)
def test_secret_values(name, value, part):
    start, end = secret_span(label_of(name), value)
    assert value[start:end] == part


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", b""),
        ("password", b"NULL"),
        ("password", b"$1"),
        ("password", b"${PW}"),
        ("password", b"{{ pw }}"),
        ("token", b"12"),
        ("token", b"true"),
        ("pin", b"the pin"),
        ("email", b"none given"),
        ("iban", b"unknown"),
    ],
)
def test_placeholders_and_values_of_another_shape(name, value):
    assert secret_span(label_of(name), value) is None
