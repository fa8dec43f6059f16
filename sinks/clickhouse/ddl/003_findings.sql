CREATE TABLE IF NOT EXISTS custody.detections
(
    log_id           LowCardinality(String) COMMENT 'Kafka topic id of the detections log',
    partition        UInt32 COMMENT 'Partition of the record there',
    offset           UInt64 COMMENT 'Offset of the record there',
    detection_id     String COMMENT 'Hash of rule, origin and position: the same match has the same id',
    at               DateTime64(6, 'UTC') COMMENT 'When the rule matched, in event time',
    rule             LowCardinality(String) COMMENT 'Rule that matched',
    rule_version     LowCardinality(String) COMMENT 'Version of the rule',
    severity         LowCardinality(String) COMMENT 'info, low, medium, high or critical',
    title            String COMMENT 'One line for people',
    agent            LowCardinality(String) COMMENT 'Agent concerned',
    principal        LowCardinality(String) COMMENT 'Principal concerned',
    resource         LowCardinality(String) COMMENT 'Resource concerned',
    session_id       String COMMENT 'Session of the event that completed the match',
    origin_log_id    LowCardinality(String) COMMENT 'Origin of that event: log',
    origin_partition UInt32 COMMENT 'Origin of that event: partition',
    origin_offset    UInt64 COMMENT 'Origin of that event: offset',
    origin_position  UInt32 COMMENT 'Origin of that event: index in its batch',
    evidence         Array(String) COMMENT 'Events that support the match',
    attributes       Map(LowCardinality(String), String) COMMENT 'Further facts',
    retention_class  LowCardinality(String) DEFAULT 'standard' COMMENT 'Class that says how long the row is kept',

    INDEX idx_detection detection_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY (retention_class, toYYYYMMDD(at))
ORDER BY (at, detection_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1
COMMENT 'Rules matched on events; immutable';

CREATE TABLE IF NOT EXISTS custody.retention_actions
(
    log_id           LowCardinality(String) COMMENT 'Kafka topic id of the retention log',
    partition        UInt32 COMMENT 'Partition of the record there',
    offset           UInt64 COMMENT 'Offset of the record there',
    order_id         String COMMENT 'Order that this row gives or answers',
    action           LowCardinality(String) COMMENT 'expire, erase, done or refused',
    retention_class  LowCardinality(String) COMMENT 'Class concerned',
    day              LowCardinality(String) COMMENT 'UTC day of the partition, YYYY-MM-DD',
    at               DateTime64(6, 'UTC') COMMENT 'When it was ordered or answered',
    reason           String COMMENT 'Why',
    evidence         Map(LowCardinality(String), String) COMMENT 'Facts that show it',
    rows             UInt64 COMMENT 'Rows concerned'
)
ENGINE = MergeTree
ORDER BY (at, order_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1
COMMENT 'Orders of retention and what came of them; never expires';

CREATE TABLE IF NOT EXISTS custody.deliveries
(
    sink             LowCardinality(String) COMMENT 'Sink that delivered',
    target           LowCardinality(String) COMMENT 'Where to, without credentials',
    log_id           LowCardinality(String) COMMENT 'Kafka topic id of the log the item came from',
    partition        UInt32 COMMENT 'Partition of the item there',
    offset           UInt64 COMMENT 'Offset of the item there',
    item             String COMMENT 'Id of what was delivered: a detection, a session',
    kind             LowCardinality(String) COMMENT 'What was delivered: detection, session, ...',
    at               DateTime64(6, 'UTC') COMMENT 'When',
    status           LowCardinality(String) COMMENT 'delivered, retried, refused or dropped',
    attempt          UInt32 COMMENT 'Number of the attempt, from 1',
    detail           String COMMENT 'What the target said',
    retention_class  LowCardinality(String) DEFAULT 'standard' COMMENT 'Class that says how long the row is kept'
)
ENGINE = MergeTree
PARTITION BY (retention_class, toYYYYMMDD(at))
ORDER BY (sink, at)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1
COMMENT 'What went to SIEMs and people, and whether it arrived';
