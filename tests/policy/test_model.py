from policy.model import Classified, ObjectAccess, Operation


def test_operations_are_ordered_by_danger():
    assert [operation.rank for operation in Operation] == list(range(7))
    assert max(Operation, key=lambda operation: operation.rank) is Operation.ADMIN


def test_only_a_known_read_is_a_read():
    assert Classified(Operation.READ).is_read
    assert not Classified(Operation.READ, is_unknown=True).is_read
    assert not Classified(Operation.WRITE).is_read


def test_an_access_prints_as_operation_and_name():
    assert str(ObjectAccess("public.users", Operation.DELETE)) == "delete public.users"
