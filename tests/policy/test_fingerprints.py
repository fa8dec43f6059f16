from policy.fingerprints import shape_of


def test_equal_parts_have_one_shape() -> None:
    assert shape_of(["GET ?"]) == shape_of(iter(["GET ?"])) != shape_of(["GET ? ?"])
    assert shape_of([]) == ""
    assert len(shape_of(["\ud800"])) == 16
