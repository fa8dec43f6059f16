from sinks.contract import Sink
from sinks.runner import SINKS


def test_every_sink_of_the_registry_keeps_the_contract() -> None:
    wanted = {name for name in vars(Sink) if not name.startswith("_")}
    assert {"load_progress", "write", "write_records", "work", "describe", "close"} <= wanted
    for kind in SINKS.values():
        made = kind.build.__annotations__["return"]
        assert wanted <= set(dir(made))
