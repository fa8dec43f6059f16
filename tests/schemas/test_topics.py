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


def test_what_is_masked_leaves_kafka_within_whole_days_its_last_segment_too() -> None:
    days = {
        name: topics.find_longest_ms(topics.BY_NAME[name]) / topics.DAY_MS
        for name in (topics.SESSIONS, topics.FACTS, topics.DETECTIONS, topics.DEADLETTER)
    }
    assert days == {topics.SESSIONS: 7, topics.FACTS: 7, topics.DETECTIONS: 30, topics.DEADLETTER: 30}
    assert topics.keep_for(1) == {"retention.ms": "79200000", "segment.ms": "3600000"}
