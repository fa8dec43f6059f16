-- One row an edge: a value seen in an answer of one resource went into a request to another.
CREATE TABLE IF NOT EXISTS custody.lineage
(
    log_id           LowCardinality(String) COMMENT 'Kafka topic id of the detections log, which holds edges, too',
    partition        UInt32 COMMENT 'Partition of the record there',
    offset           UInt64 COMMENT 'Offset of the record there',
    edge_id          String COMMENT 'Hash of token and both events: the same edge has the same id',
    at               DateTime64(6, 'UTC') COMMENT 'When the value was sent on',
    relation         LowCardinality(String) COMMENT 'What both events have in common: agent, run or chain',
    label            LowCardinality(String) COMMENT 'Label of masking; empty for a value that no detector knows',
    token            String COMMENT 'Token of the value, or its fingerprint when it has no label',
    from_resource    LowCardinality(String) COMMENT 'Resource in whose answer the value was first seen',
    from_session     String COMMENT 'Session of that answer',
    from_seq         UInt64 COMMENT 'Event of that answer',
    from_at          DateTime64(6, 'UTC') COMMENT 'When that was',
    from_agent       LowCardinality(String) COMMENT 'Agent that saw it',
    from_principal   LowCardinality(String) COMMENT 'On whose behalf',
    to_resource      LowCardinality(String) COMMENT 'Resource to which it was sent',
    to_session       String COMMENT 'Session of that request',
    to_seq           UInt64 COMMENT 'Event of that request',
    to_agent         LowCardinality(String) COMMENT 'Agent that sent it',
    to_principal     LowCardinality(String) COMMENT 'On whose behalf',
    run_id           String COMMENT 'Run of that request',
    origin_log_id    LowCardinality(String) COMMENT 'Origin of the event that completed the edge: log',
    origin_partition UInt32 COMMENT 'Origin of that event: partition',
    origin_offset    UInt64 COMMENT 'Origin of that event: offset',
    origin_position  UInt32 COMMENT 'Origin of that event: index in its batch',
    retention_class  LowCardinality(String) DEFAULT 'standard' COMMENT 'Class that says how long the row is kept',

    INDEX idx_edge edge_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_token token TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY (retention_class, toYYYYMMDD(at))
ORDER BY (at, edge_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1
COMMENT 'Which values went from which resource to which; immutable';
