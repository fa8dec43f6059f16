from console.api.routes import ROUTES


def test_operations_and_addresses_are_unique() -> None:
    assert len({route.operation for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_only_changes_take_content() -> None:
    assert [route.operation for route in ROUTES if route.body and route.method in ("GET", "DELETE")] == []
