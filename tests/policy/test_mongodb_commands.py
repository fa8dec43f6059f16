from policy.mongodb_commands import CODE, COMMANDS, GENERIC, STAGES


def test_commands_are_in_lower_case_and_name_no_generic_field() -> None:
    assert all(name == name.lower() for name in COMMANDS)
    assert not COMMANDS.keys() & {name.lower() for name in GENERIC}
    assert len(COMMANDS) > 150


def test_only_two_stages_write() -> None:
    assert {name for name, operation in STAGES.items() if operation != "read"} == {"$out", "$merge"}
    assert {"$where", "$function", "$accumulator"} <= CODE
