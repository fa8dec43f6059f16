from policy.model import Operation
from policy.postgres_tree import READ_ONLY_FUNCTIONS, Walk


def test_functions_known_to_read_and_known_to_act():
    assert {"lower", "count", "now", "extract", "random"} <= READ_ONLY_FUNCTIONS
    acting = {"nextval", "pg_read_file", "set_config", "pg_notify", "lo_import", "query_to_xml", "table_to_xml"}
    assert not READ_ONLY_FUNCTIONS & acting


def test_a_kind_of_node_nobody_knows_counts_as_a_write():
    walk = Walk()
    walk.walk({"SelectStmt": {"targetList": [{"SomethingNew": {}}]}}, Operation.READ)
    assert walk.operation is Operation.WRITE


def test_depth_is_no_limit():
    tree = {"RangeVar": {"relname": "t"}}
    for _ in range(50_000):
        tree = {"List": {"items": [tree]}}
    walk = Walk()
    walk.walk({"SelectStmt": {"fromClause": tree}}, Operation.READ)
    assert [str(each) for each in walk.objects()] == ["read t"]
    while "List" in tree:  # unwound by hand: freeing it recursively would be the test's own undoing
        tree = tree["List"]["items"].pop()
