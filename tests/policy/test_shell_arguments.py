from policy.shell_arguments import HANDLERS
from policy.shell_readers import READERS
from policy.shell_system import SYSTEM
from policy.shell_tools import TOOLS
from policy.shell_wrappers import WRAPPERS


def test_no_command_stands_in_two_tables() -> None:
    tables = (WRAPPERS, SYSTEM, READERS, TOOLS)
    assert len(HANDLERS) == sum(map(len, tables))
