-- One row when a session opens and one when it closes or is found lost; session_states joins them.
CREATE TABLE IF NOT EXISTS custody.sessions
(
    log_id           LowCardinality(String) COMMENT 'Origin: Kafka topic id of the raw log',
    partition        UInt32 COMMENT 'Origin: partition of the raw record',
    offset           UInt64 COMMENT 'Origin: offset of the raw record',
    position         UInt32 COMMENT 'Index of the event in its batch, from 0',
    session_id       String COMMENT 'One connection or conversation under one principal',
    state            LowCardinality(String) COMMENT 'opened, closed or lost',
    at               DateTime64(6, 'UTC') COMMENT 'When this became so',
    principal        LowCardinality(String) COMMENT 'Human or service whose authority is used',
    agent            LowCardinality(String) COMMENT 'Software that acts',
    delegation       Array(Tuple(actor String, on_behalf_of String)) COMMENT 'Delegation chain, outermost first',
    run_id           String COMMENT 'Run of the agent',
    resource         LowCardinality(String) COMMENT 'Registered resource that is acted on',
    protocol         LowCardinality(String) COMMENT 'Protocol that was captured',
    source_ip        String COMMENT 'Address of the agent',
    source_port      UInt16 COMMENT 'Port of the agent',
    client           LowCardinality(String) COMMENT 'Client software as it names itself',
    tls              LowCardinality(String) COMMENT 'TLS version and cipher of the agent side, or empty',
    upstream         LowCardinality(String) COMMENT 'Address of the resource that was connected to',
    opened_at        DateTime64(6, 'UTC') COMMENT 'Start of the session',
    credential_id    String COMMENT 'Custody credential that was presented',
    session_attributes Map(LowCardinality(String), String) COMMENT 'Further facts of the session',
    proxy_id         LowCardinality(String) COMMENT 'Capture proxy of the session',
    proxy_epoch      LowCardinality(String) COMMENT 'Run of the proxy; a session ends with it',
    events           UInt64 COMMENT 'Events of the session, known once it is closed',
    ledger           Map(LowCardinality(String), UInt64) COMMENT 'Byte ledger, known once it is closed',
    reason           LowCardinality(String) COMMENT 'Why it was closed or is lost',
    retention_class  LowCardinality(String) COMMENT 'Class that says how long the row is kept'
)
ENGINE = MergeTree
PARTITION BY (retention_class, toYYYYMMDD(opened_at))
ORDER BY (session_id, at)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
         min_rows_to_fsync_after_merge = 1
COMMENT 'Sessions as they opened and ended; immutable';

CREATE VIEW IF NOT EXISTS custody.session_states AS
SELECT
    session_id,
    argMax(state, (sessions.state != 'opened', sessions.at)) AS last_state,
    any(principal) AS principal, any(agent) AS agent, any(run_id) AS run_id, any(resource) AS resource,
    any(protocol) AS protocol, any(source_ip) AS source_ip, any(client) AS client,
    any(proxy_id) AS proxy_id, any(proxy_epoch) AS proxy_epoch, any(retention_class) AS retention_class,
    min(opened_at) AS opened_at,
    maxIf(sessions.at, state != 'opened') AS ended_at,
    max(events) AS events,
    anyLastIf(reason, reason != '') AS reason
FROM custody.sessions
GROUP BY session_id
COMMENT 'One row a session: its last known state';
