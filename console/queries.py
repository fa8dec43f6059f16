"""Every query of the console, by name. Values are bound by the server as parameters; no text is put together."""

from typing import Final

SINK: Final = "clickhouse"
"""The store's own sink in `progress`."""

EVENT_COLUMNS: Final = """
    session_id, seq, at, kind, agent, principal, resource, action_id, statement, parameters, operation, objects,
    verdict, status, error, rows, bytes, duration_us, attributes, payload, payload_type, payload_bytes, is_truncated,
    masked
"""

SESSIONS: Final = """
SELECT session_id, if(last_state = 'opened' AND proxy_epoch NOT IN (
           SELECT argMax(proxy_epoch, opened_at) FROM custody.sessions
           WHERE protocol = 'custody' AND agent = proxy_id GROUP BY proxy_id
       ), 'lost', last_state) AS state, agent, principal, resource, protocol, run_id, client, source_ip, opened_at,
       ended_at, events, reason
FROM custody.session_states
WHERE ({agent:String} = '' OR agent = {agent:String})
  AND ({principal:String} = '' OR principal = {principal:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({run_id:String} = '' OR run_id = {run_id:String})
  AND ({with_custody:Bool} OR protocol != 'custody')
  AND opened_at < fromUnixTimestamp64Micro({until:Int64})
  AND (last_state = 'opened' OR ended_at >= fromUnixTimestamp64Micro({since:Int64})
       OR opened_at >= fromUnixTimestamp64Micro({since:Int64}))
ORDER BY opened_at DESC, session_id
LIMIT {limit:UInt32}
"""
"""Sessions that lived within [since, until), µs since the epoch; an empty filter takes everything.

A session without an end whose proxy has started anew since is lost.
"""

SESSIONS_WITH_WORDS: Final = SESSIONS.replace(
    "ORDER BY",
    """  AND session_id IN (
    SELECT session_id FROM custody.events
    WHERE hasAllTokens(statement, {text:String})
  )
ORDER BY""",
)
"""SESSIONS whose statements hold all words of `text`; answered by the text index."""

ACTIVITY: Final = """
SELECT session_id, countIf(kind = 'action.requested') AS actions,
       uniqExactIf(action_id, kind = 'action.decided' OR kind = 'action.requested' AND verdict = 'deny') AS refused,
       sumIf(rows, kind = 'action.completed') AS row_count, sum(length(masked)) AS masked_values, count() AS stored
FROM custody.events
WHERE session_id IN {sessions:Array(String)}
GROUP BY session_id
"""
"""What happened in some sessions."""

AGENT_DAY: Final = """
SELECT countIf(kind = 'action.requested') AS actions, countIf(kind = 'action.decided') AS refused,
       countIf(kind = 'approval.decided' AND status = 'approved') AS approved
FROM custody.events
WHERE agent = {agent:String} AND principal = {principal:String} AND at >= fromUnixTimestamp64Micro({since:Int64})
"""
"""What an agent did for somebody since a time."""

LAST_ACTIONS: Final = """
SELECT statement FROM custody.events
WHERE session_id = {session:String} AND kind = 'action.requested' AND action_id != {action:String}
ORDER BY seq DESC
LIMIT {limit:UInt32}
"""
"""What a session did last."""

SESSION: Final = """
SELECT session_id, state, agent, principal, delegation, resource, protocol, run_id, credential_id, client, tls,
       concat(source_ip, ':', toString(source_port)) AS source, upstream, opened_at
FROM custody.sessions
WHERE session_id = {session:String}
ORDER BY state = 'opened' DESC
LIMIT 1
"""
"""Who acted, for whom, on what."""

SESSIONS_LIKE: Final = """
SELECT DISTINCT session_id FROM custody.sessions WHERE startsWith(session_id, {prefix:String}) LIMIT 3
"""
"""Sessions whose id begins so: people type the first characters."""

SESSION_EVENTS: Final = f"""
SELECT {EVENT_COLUMNS}
FROM custody.events
WHERE session_id = {{session:String}} AND seq > {{after:UInt64}}
ORDER BY seq
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - the columns are a constant of this file
"""A page of a session's events, in order."""

EVENTS: Final = f"""
SELECT {EVENT_COLUMNS}
FROM custody.events
WHERE ({{session:String}} = '' OR session_id = {{session:String}})
  AND ({{agent:String}} = '' OR agent = {{agent:String}})
  AND ({{principal:String}} = '' OR principal = {{principal:String}})
  AND ({{resource:String}} = '' OR resource = {{resource:String}})
  AND ({{run_id:String}} = '' OR run_id = {{run_id:String}})
  AND ({{kind:String}} = '' OR kind = {{kind:String}})
  AND ({{operation:String}} = '' OR operation = {{operation:String}})
  AND ({{verdict:String}} = '' OR verdict = {{verdict:String}})
  AND ({{text:String}} = '' OR hasAllTokens(statement, {{text:String}}))
  AND ({{with_custody:Bool}} OR protocol != 'custody')
  AND at >= fromUnixTimestamp64Micro({{since:Int64}}) AND at < fromUnixTimestamp64Micro({{until:Int64}})
  AND (at, session_id, seq) < (fromUnixTimestamp64Micro({{before:Int64}}), {{session_before:String}},
                               {{seq_before:UInt64}})
ORDER BY at DESC, session_id DESC, seq DESC
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - the columns are a constant of this file
"""Events by filters, newest first, a page at a time: what comes before (at, session, seq)."""

TAIL: Final = f"""
SELECT {EVENT_COLUMNS}, offset, position
FROM custody.events
WHERE log_id = {{log_id:String}} AND partition = {{partition:UInt32}} AND offset <= {{upto:UInt64}}
  AND (offset, position) > ({{after:Int64}}, {{position:UInt32}})
  AND ({{agent:String}} = '' OR agent = {{agent:String}})
  AND ({{resource:String}} = '' OR resource = {{resource:String}})
ORDER BY offset, position
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - the columns are a constant of this file
"""A page of one partition's events in the log's order."""

ALERTS: Final = """
SELECT at, severity, rule, title, agent, principal, resource, session_id, evidence, attributes, detection_id
FROM custody.detections
WHERE ({agent:String} = '' OR agent = {agent:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({rule:String} = '' OR rule = {rule:String})
  AND severity IN {severities:Array(String)}
  AND at >= fromUnixTimestamp64Micro({since:Int64}) AND at < fromUnixTimestamp64Micro({until:Int64})
ORDER BY at DESC, detection_id
LIMIT 1 BY detection_id
LIMIT {limit:UInt32}
"""
"""Detections, newest first, each once."""

# ── verify ──

PROGRESS: Final = """
SELECT log_id, partition, max(offset) AS offset FROM custody.progress
WHERE sink = {sink:String} GROUP BY log_id, partition
"""
"""How far the store's sink says it has stored everything. Events after it may be on their way."""

ORIGIN_CHAIN: Final = """
SELECT uniqExact(offset) AS origins, min(offset) AS first, max(offset) AS last, count() AS stored,
       uniqExact(offset, position) AS distinct_events
FROM custody.events
WHERE log_id = {log_id:String} AND partition = {partition:UInt32} AND offset <= {upto:UInt64}
"""
"""Whether a partition's origins are without holes up to its progress, and each event is there once."""

MISSING_ORIGINS: Final = """
SELECT offset + 1 AS first, next - 1 AS last FROM (
    SELECT offset, leadInFrame(offset) OVER (ORDER BY offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next
    FROM (
        SELECT DISTINCT offset FROM custody.events
        WHERE log_id = {log_id:String} AND partition = {partition:UInt32} AND offset <= {upto:UInt64}
    )
)
WHERE next > offset + 1
ORDER BY first
LIMIT 20
"""
"""The first holes of a partition, as ranges."""

EPOCH_CHAINS: Final = """
SELECT proxy_id, proxy_epoch, partition, uniqExact(batch_seq) AS batches, min(batch_seq) AS first,
       max(batch_seq) AS last
FROM custody.events
WHERE proxy_epoch != '' AND log_id = {log_id:String} AND partition = {partition:UInt32} AND offset <= {upto:UInt64}
GROUP BY proxy_id, proxy_epoch, partition
ORDER BY proxy_id, proxy_epoch
"""
"""Whether each run of a proxy has all its batches in a partition."""

SESSION_CHAINS: Final = """
SELECT session_id, any(agent) AS agent, any(resource) AS resource, any(proxy_epoch) AS epoch, any(protocol) AS protocol,
       count() AS stored, uniqExact(seq) AS distinct_seqs, min(seq) AS first, max(seq) AS last,
       countIf(kind = 'session.closed') AS closings,
       maxIf(toUInt64OrZero(attributes['events']), kind = 'session.closed') AS closed_events
FROM custody.events
WHERE log_id = {log_id:String} AND partition = {partition:UInt32} AND offset <= {upto:UInt64}
  AND session_id != ''
GROUP BY session_id
HAVING stored != distinct_seqs OR first != 1 OR last != distinct_seqs OR closings != 1
    OR closed_events != stored
"""
"""Sessions of a partition whose events are not plainly whole: holes, repeats, no end, another count than at the end."""

MISSING_SEQS: Final = """
SELECT before + 1 AS first, seq - 1 AS last
FROM (
    SELECT seq, lagInFrame(toUInt64(seq), 1, 0) OVER (ORDER BY seq) AS before
    FROM (SELECT DISTINCT seq FROM custody.events WHERE session_id = {session:String})
)
WHERE seq > before + 1 ORDER BY first LIMIT 20
"""
"""Which numbers of a session are not there, as stretches; the first ones."""

SESSION_COUNT: Final = """
SELECT uniqExact(session_id) AS sessions, count() AS stored, uniqExactIf(session_id, is_truncated) AS truncated
FROM custody.events
WHERE log_id = {log_id:String} AND partition = {partition:UInt32} AND offset <= {upto:UInt64}
"""

EPOCHS: Final = """
SELECT proxy_id, proxy_epoch AS epoch, kind, attributes
FROM custody.events
WHERE kind IN ('proxy.started', 'proxy.stopped')
ORDER BY at
"""
"""The runs of the proxies: a session of an older run cannot end any more; a run that stopped said how far it came."""

GAPS: Final = """
SELECT at, session_id, proxy_id, partition, offset, attributes, error, status
FROM custody.events
WHERE kind = 'audit.gap'
ORDER BY at
LIMIT {limit:UInt32}
"""
"""What was recorded as lost, undecodable, forged or sent twice."""

SHORTENED: Final = """
SELECT count() AS answers
FROM custody.events
WHERE kind = 'action.completed' AND is_truncated AND attributes['policy.record'] != ''
"""
"""Answers of which policy wanted less recorded than there was (`@record`)."""

EXPIRED: Final = """
SELECT count() AS orders, sum(rows) AS row_count FROM custody.retention_actions WHERE action = 'done'
"""
"""What retention took away, and said so."""

COVERAGE: Final = """
SELECT resource, protocol, count() AS sessions,
       sum(ledger['from_agent']) AS from_agent, sum(ledger['to_agent']) AS to_agent,
       sum(ledger['from_upstream']) AS from_upstream, sum(ledger['to_upstream']) AS to_upstream,
       sum(ledger['opaque_agent']) AS opaque_agent, sum(ledger['opaque_upstream']) AS opaque_upstream
FROM (SELECT session_id, resource, protocol, ledger FROM custody.sessions
      WHERE state = 'closed' AND protocol != 'custody' LIMIT 1 BY session_id)
GROUP BY resource, protocol
ORDER BY resource
"""
"""The byte ledgers of closed sessions, by resource."""

# ── trace ──

TRACE: Final = """
SELECT session_id, any(agent) AS agent, any(principal) AS principal, any(delegation) AS delegation,
       any(run_id) AS run_id, any(resource) AS resource, any(protocol) AS protocol,
       if(kind IN ('action.completed', 'data.received'), 'saw', 'sent') AS how,
       min(at) AS first, max(at) AS last, count() AS events, sum(item.2) AS times,
       countIf(verdict IN ('deny', 'hold')) AS refused,
       arraySort(groupUniqArray(item.1)) AS labels, arraySort(groupUniqArray(item.4)) AS places
FROM custody.events ARRAY JOIN masked AS item
WHERE hasAny(masked.token, {tokens:Array(String)}) AND has({tokens:Array(String)}, item.3)
  AND events.protocol != 'custody'
  AND at >= fromUnixTimestamp64Micro({since:Int64})
GROUP BY session_id, how
ORDER BY first, session_id, how
LIMIT {limit:UInt32}
"""
"""Who saw (in an answer) or sent (in a request) a value with one of these tokens: one row a session and direction."""

TRACED_BEFORE: Final = """
SELECT at, principal, session_id, attributes['reason'] AS reason FROM custody.events
WHERE protocol = 'custody' AND operation = 'trace' AND kind = 'action.requested' AND session_id != {own:String}
  AND hasAny(masked.token, {tokens:Array(String)})
ORDER BY at
LIMIT 100
"""
"""Who asked for such a value before."""

LINEAGE: Final = """
SELECT at, label, relation, from_resource, from_agent, from_session, from_seq, to_resource, to_agent, to_session,
       to_seq, run_id, token, edge_id
FROM custody.lineage
WHERE has({tokens:Array(String)}, token) AND at >= fromUnixTimestamp64Micro({since:Int64})
ORDER BY at, edge_id
LIMIT {limit:UInt32}
"""
"""Where values with one of these tokens went."""

# ── demo ──

RUN_SESSIONS: Final = """
SELECT session_id, resource, last_state AS state FROM custody.session_states WHERE run_id = {run_id:String}
ORDER BY opened_at, session_id
"""

RUN_EVENTS: Final = f"""
SELECT {EVENT_COLUMNS} FROM custody.events WHERE run_id = {{run_id:String}} ORDER BY at, session_id, seq
"""  # noqa: S608 - the columns are a constant of this file

RUN_EVERYTHING: Final = "SELECT * FROM custody.events WHERE run_id = {run_id:String}"
"""Every column of a run's events, to look for what must not be there."""

HISTORY: Final = """
SELECT toUnixTimestamp64Micro(at) AS at_us, session_id, seq, kind, principal, agent, resource, protocol, source_ip,
       statement, operation, objects, verdict, is_truncated, rows, session_attributes['groups'] AS groups,
       links['plan_step'] AS step
FROM custody.events
WHERE kind IN ('action.requested', 'action.completed') AND protocol != 'custody'
  AND upstream != 'unregistered:1'
  AND at < fromUnixTimestamp64Micro({until:Int64})
  AND (toUnixTimestamp64Micro(at), session_id, seq) > ({at:Int64}, {session_id:String}, {seq:UInt64})
ORDER BY at_us, session_id, seq
LIMIT {limit:UInt32}
"""
"""Requests and their outcomes in the order of time, after a place, a page at a time. Destinations that are no resource
(`unregistered`) are refused whatever policies say, so these are none of theirs."""

# ── reconcile ──

RECONCILED: Final = """
SELECT toUnixTimestamp64Micro(at) AS at, session_id, seq, action_id, agent, statement, fingerprint, verdict,
       session_attributes['database'] AS database
FROM custody.events
WHERE kind = 'action.requested' AND resource = {resource:String}
  AND events.at >= fromUnixTimestamp64Micro({at:Int64}) AND events.at < fromUnixTimestamp64Micro({until:Int64})
  AND (toUnixTimestamp64Micro(events.at), session_id, seq) > ({at:Int64}, {session_id:String}, {seq:UInt64})
ORDER BY events.at, session_id, seq
LIMIT {limit:UInt32}
"""
"""What agents asked of a resource, in the order of time, after a place, a page at a time."""

RECONCILED_OUTCOMES: Final = """
SELECT action_id, countIf(kind = 'action.completed') AS ended,
       maxIf(events.duration_us, kind = 'action.completed') AS duration_us,
       anyIf(status, kind = 'action.completed') AS final_status,
       countIf(kind = 'action.decided' AND verdict = 'deny') AS refused
FROM custody.events
WHERE resource = {resource:String} AND kind IN ('action.completed', 'action.decided')
  AND action_id IN {actions:Array(String)}
GROUP BY action_id
"""
"""How those actions ended."""
