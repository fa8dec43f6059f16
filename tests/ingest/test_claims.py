"""Claims in the comment that ends a statement: the form of sqlcommenter, and everything else."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.claims import MAX_COMMENT_CHARS, MAX_LINK_CHARS, MAX_LINKS, cut_claim, read_meta_claims, read_sql_claims

PARENT = "00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01"


@pytest.mark.parametrize(
    ("end", "links"),
    [
        (f"/*traceparent='{PARENT}'*/", {"traceparent": PARENT}),
        (f"/* traceparent='{PARENT}' , tracestate='a%3D1%2Cb%3D2' */ ;\n",
         {"traceparent": PARENT, "tracestate": "a=1,b=2"}),
        ("/*baggage='run%3D7',custody_plan_step='2',custody_tool_call_id='call%201'*/",
         {"baggage": "run=7", "plan_step": "2", "tool_call_id": "call 1"}),
        ("/*action='%2Fpolls',db_driver='django%3A2.2',route='a\\'b'*/;",
         {"sqlcommenter.action": "/polls", "sqlcommenter.db_driver": "django:2.2", "sqlcommenter.route": "a'b"}),
        ("/*custody_='x',plan_step='2'*/", {"sqlcommenter.custody_": "x", "sqlcommenter.plan_step": "2"}),
        ("/* one */ /*a='1'*/", {"sqlcommenter.a": "1"}),
        ("/*a='1',a='2'*/", {"sqlcommenter.a": "2"}),
        ("/*a=''*/", {"sqlcommenter.a": ""}),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_comment_at_the_end_is_read(end: str, links: dict[str, str]) -> None:
    assert read_sql_claims(f"SELECT 1 {end}") == links


@pytest.mark.parametrize(
    "statement",
    [
        "", "SELECT 1", "SELECT 1;", "/*a='1'*/ SELECT 1", "SELECT 1 /* a comment */", "SELECT 1 /*a=1*/", "*/", "/*/",
        "SELECT 1 /*a='1'", "SELECT 1 -- a='1'", "SELECT 1 /*a='1' b='2'*/", "SELECT 1 /*a='1*/", "SELECT '/*a=''1'''",
        "SELECT 1 /*a='\\*/", "SELECT 1 /*='1'*/", "SELECT 1 /* /*a='1'*/ */", "SELECT 1 /*a='1',,b='2'*/",
        "SELECT 1 /*a='1'*/ x", "SELECT 1 /**/",
    ],
)  # fmt: skip
def test_anything_else_claims_nothing(statement: str) -> None:
    assert read_sql_claims(statement) == {}


def test_claims_are_few_and_short() -> None:
    many = ",".join(f"k{n}='{n}'" for n in range(40))
    assert len(read_sql_claims(f"SELECT 1 /*{many}*/")) == MAX_LINKS
    assert read_sql_claims(f"SELECT 1 /*a='{'x' * MAX_COMMENT_CHARS}'*/") == {}
    assert read_sql_claims(f"SELECT 1 /*a='{'x' * (MAX_LINK_CHARS + 1)}'*/") == {"sqlcommenter.a": ""}
    assert cut_claim("one " * 200) == ("one " * 128).strip()


def test_a_hostile_comment_costs_little() -> None:
    ends = ("/*" * 2000 + "*/", "/*" + "a='1'," * 700 + "*/", "/*a='" + "\\" * 4000 + "*/", "/*" + " " * 4000 + "*/",
            ";" * 1_000_000, "x" * 1_000_000 + "*/", "/*" + "a" * 4000 + "*/")  # fmt: skip
    started = time.process_time()
    for end in ends:
        read_sql_claims("SELECT 1 " + end)
    assert time.process_time() - started < 1


@given(st.text(alphabet="/*='\\,a1% \n;", max_size=60))
def test_any_text_is_read(text: str) -> None:
    found = read_sql_claims(text + "*/")
    assert len(found) <= MAX_LINKS and all(len(value) <= MAX_LINK_CHARS for value in found.values())


@pytest.mark.parametrize(
    ("message", "links"),
    [
        ({"params": {"_meta": {"traceparent": PARENT, "custody/plan_step": "2", "custody_run_id": "r", "other": "x"}}},
         {"traceparent": PARENT, "plan_step": "2", "run_id": "r"}),
        ([{"params": {"_meta": {"x": "y"}}}, {"params": {"_meta": {"baggage": "a=1"}}}], {"baggage": "a=1"}),
        ({"params": {"_meta": {"traceparent": 7, "custody/": "x"}}}, {"sqlcommenter.custody_": "x"}),
        ({"params": {"_meta": []}}, {}),
        ({"params": [{"_meta": {"baggage": "a"}}]}, {}),
        (["_meta"], {}),
        ({"params": {"_meta": {f"custody_{n}": "x" * 600 for n in range(50)}}}, {str(n): "" for n in range(16)}),
    ],
    ids=range(7),
)  # fmt: skip
def test_claims_of_an_mcp_message(message: object, links: dict[str, str]) -> None:
    assert read_meta_claims(message) == links
