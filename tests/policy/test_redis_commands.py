from policy.redis_commands import COMMANDS, CONTAINERS, COUNTED, KEYS, MODULE_COMMANDS


def test_the_tables_speak_of_one_set_of_commands() -> None:
    known = COMMANDS.keys() | CONTAINERS.keys() | MODULE_COMMANDS.keys()
    by_arguments = {"HELLO", "CLIENT", "ACL", "COMMAND"}
    assert KEYS.keys() - known - by_arguments == set()
    assert COUNTED.keys() - known == set()
    assert not COMMANDS.keys() & CONTAINERS.keys()


def test_no_command_is_listed_twice() -> None:
    assert len(COMMANDS) > 200
    assert {"FLUSHALL", "DEL", "GET", "EVAL"} <= COMMANDS.keys()
