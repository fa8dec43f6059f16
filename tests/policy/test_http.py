import pytest

from policy.http import classify_http, path_shape
from policy.model import Operation


@pytest.mark.parametrize(
    ("statement", "operation", "name"),
    [
        ("GET /users/17?x=1", Operation.READ, "/users/{id}"),
        ("GET https://u:p@API.example/v1/items", Operation.READ, "api.example/v1/items"),
        ("HEAD /", Operation.READ, "/"),
        ("POST /users", Operation.WRITE, "/users"),
        ("PATCH /u/550e8400-e29b-41d4-a716-446655440000", Operation.WRITE, "/u/{id}"),
        ("DELETE /u/1 HTTP/1.1", Operation.DELETE, "/u/{id}"),
        ("GET /u/1?_method=DELETE", Operation.DELETE, "/u/{id}"),
        ("GET /u/1?_method=SPY", Operation.ADMIN, "/u/{id}"),
        ("CONNECT example.com:443", Operation.EXECUTE, "example.com:443"),
    ],
)
def test_method_and_path(statement, operation, name):
    classified = classify_http(statement)
    assert classified.operation is operation
    assert [each.name for each in classified.objects] == [name]
    assert not classified.is_unknown


@pytest.mark.parametrize("statement", ["", "get /x", "BREW /pot", "\ud800 \udfff"])
def test_unknown_methods_are_most_dangerous(statement):
    classified = classify_http(statement)
    assert classified.is_unknown
    assert classified.operation is Operation.ADMIN


def test_shape_hides_identifiers_and_keeps_names():
    assert path_shape("/v1/orders/42/items/bob@example.com?q=1#x") == "/v1/orders/{id}/items/{id}"
    assert path_shape("/static/app-settings") == "/static/app-settings"


def test_fingerprint_is_of_method_and_shape():
    assert classify_http("GET /u/1").fingerprint == classify_http("GET /u/2").fingerprint
    assert classify_http("GET /u/1").fingerprint != classify_http("PUT /u/1").fingerprint
