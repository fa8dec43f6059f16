"""Errors as ClickHouse clients know them."""

from deploy.embedded.store_errors import QueryError, from_engine, overloaded, refused


def test_the_engines_text_is_taken_apart() -> None:
    error = from_engine("Code: 60. DB::Exception: Unknown table (x). (UNKNOWN_TABLE)")
    assert (error.code, error.name, error.message, error.http_status) == (
        60,
        "UNKNOWN_TABLE",
        "Unknown table (x).",
        404,
    )
    assert str(error) == "Code: 60. DB::Exception: Unknown table (x). (UNKNOWN_TABLE)"
    error = from_engine("Streaming query failed: Code: 159. DB::Exception: Timeout. (TIMEOUT_EXCEEDED)")
    assert (error.http_status, error.message) == (408, "Timeout.")


def test_paths_of_the_host_are_taken_out() -> None:
    error = from_engine(
        "Code: 27. DB::Exception: Cannot parse (in file /h/inbox/body-1). (CANNOT_PARSE)", "/h/inbox/body-1"
    )
    assert "/h" not in str(error) and "the body" in str(error)


def test_any_text_becomes_an_error() -> None:
    assert from_engine("what?").code == 1002
    assert from_engine("").http_status == 500


def test_statuses() -> None:
    assert overloaded().http_status == 503
    assert refused("no").http_status == 403
    assert QueryError(999_999, "X", "y").http_status == 500
