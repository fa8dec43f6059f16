"""The topic table says what the design says."""

from schemas import topics


def test_names_have_the_form_noun_version() -> None:
    for topic in topics.TOPICS:
        assert topic.name.startswith("custody.") and topic.name.endswith(".v1")


def test_only_known_components_write_and_read() -> None:
    for topic in topics.TOPICS:
        assert topic.writers | topic.readers | topic.deleters <= set(topics.COMPONENTS), topic.name


def test_proxies_can_write_evidence_and_not_read_it() -> None:
    readable = {topic.name for topic in topics.TOPICS if "proxy" in topic.readers}
    writable = {topic.name for topic in topics.TOPICS if "proxy" in topic.writers}
    assert (readable, writable) == ({topics.CONTROL}, {topics.RAW})


def test_raw_has_no_time_limit_and_only_mask_trims_it() -> None:
    raw = topics.BY_NAME[topics.RAW]
    assert raw.config["retention.ms"] == "-1" and raw.deleters == {"mask"}
