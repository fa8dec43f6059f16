CREATE TABLE IF NOT EXISTS custody.checkpoints
(
    log              LowCardinality(String) COMMENT 'Name of the transparency log',
    tree_size        UInt64 COMMENT 'Leaves under the head',
    root_hash        String COMMENT 'Root of the Merkle tree, hexadecimal',
    at               DateTime64(6, 'UTC') COMMENT 'When it was signed',
    note             String COMMENT 'The signed note itself',
    cosignatures     Array(String) COMMENT 'Signature lines of witnesses'
)
ENGINE = MergeTree
ORDER BY (log, tree_size)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1
COMMENT 'Signed tree heads; never expires';

CREATE TABLE IF NOT EXISTS custody.progress
(
    sink             LowCardinality(String) COMMENT 'Sink whose progress this is',
    log_id           LowCardinality(String) COMMENT 'Kafka topic id of the raw log',
    partition        UInt32 COMMENT 'Partition of the raw log',
    offset           UInt64 COMMENT 'Highest origin that the sink has fully stored; the latest is the maximum',
    written_at       DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When the row was written'
)
ENGINE = MergeTree
ORDER BY (sink, log_id, partition, offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1
COMMENT 'How far each sink has stored its input; append-only, never expires';
