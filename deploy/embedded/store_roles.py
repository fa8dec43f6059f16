"""Who may do what in the store: one table a role, and the names the guard knows. Data only."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

DATABASE: Final = "custody"

SINK_TABLES: Final = frozenset(
    {"events", "sessions", "detections", "lineage", "retention_actions", "deliveries", "checkpoints", "progress"}
)
VIEWS: Final = frozenset({"session_states"})
MIGRATIONS: Final = "migrations"
EXPIRING_TABLES: Final = frozenset({"events", "sessions", "detections", "lineage", "deliveries"})
ERASABLE_TABLES: Final = EXPIRING_TABLES

SYSTEM_TABLES: Final = frozenset(
    f"system.{name}"
    for name in (
        "one", "numbers", "tables", "columns", "databases", "settings", "functions", "formats", "table_engines",
        "data_type_families", "time_zones", "build_options", "keywords", "completions", "parts", "parts_columns",
        "data_skipping_indices", "mutations", "merges", "table_functions", "collations", "contributors",
    )
) | frozenset(
    f"information_schema.{name}" for name in ("schemata", "tables", "columns", "views", "key_column_usage")
)  # fmt: skip

TABLE_FUNCTIONS: Final = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateSeries", "generate_series", "values", "null"}
)
ENGINES: Final = frozenset({"MergeTree", "ReplacingMergeTree"})
COLUMN_WORDS: Final = frozenset(
    {"CODEC", "ZSTD", "LZ4", "Delta", "DoubleDelta", "NONE", "T64", "bloom_filter", "text", "minmax", "set"}
)


class Role(StrEnum):
    """A login of the store."""

    WRITER = "writer"
    READER = "reader"
    RETENTION = "retention"
    SCHEMA = "schema"


@dataclass(frozen=True, slots=True)
class Grants:
    """What one role may do beside reading the system tables named above."""

    reads: frozenset[str] = frozenset()
    inserts: frozenset[str] = frozenset()
    expires: frozenset[str] = frozenset()
    erases: frozenset[str] = frozenset()
    may_define: bool = False


GRANTS: Final = {
    Role.WRITER: Grants(reads=SINK_TABLES, inserts=SINK_TABLES),
    Role.READER: Grants(reads=SINK_TABLES | VIEWS | {MIGRATIONS}),
    Role.RETENTION: Grants(reads=SINK_TABLES, expires=EXPIRING_TABLES, erases=ERASABLE_TABLES),
    Role.SCHEMA: Grants(reads=SINK_TABLES | VIEWS | {MIGRATIONS}, inserts=frozenset({MIGRATIONS}), may_define=True),
}

# Functions that reach out of the query: files, network, dictionaries, other tables, code, the process itself.
# The allow-list is store_functions.txt (a test compares it with the engine's functions less these).
REFUSED_FUNCTIONS: Final = (
    r"file|filesystem\w*|icebergMetadata\w*"  # files
    r"|ai[A-Z]\w*|AI[A-Z]\w*|llm\w*|reverseDNS\w*|hasColumnInTable"  # network
    r"|dict(?!inct)\w+|joinGet\w*|region\w+|catboost\w*|evalMLMethod|naiveBayes\w*"  # dictionaries, models
    r"|lemmatize|stem|synonyms|detect\w+|getMergeTreeSetting|estimateCompressionRatio"
    r"|mergeTreePartInfo|isMergeTreePartCoveredBy|__\w+|chdb"
    r"|addressTo\w+|demangle|flameGraph|trap|logTrace|aggThrow|buildId|showCertificate|getServer\w+"
    r"|getClientHTTPHeader|getMacro|serverUUID|hostName|hostname|fullHostName|FQDN|getOSKernelVersion"
    r"|tcpPort|zookeeper\w+|generateSerialID|transaction\w+|hasThreadFuzzer|sleep\w*|globalVariable"
    r"|initializeAggregation|timeSeriesStoreTags|fuzz\w+|formatQuery\w*|parseQueryToJSON|obfuscateQuery\w*"
    r"|structureTo\w+|generateRandomStructure|current(?:Handler|RequestURL)|errorCodeToName|randomHadamardTransform"
    r"|hierarchicalKMeans|assignCentroid|pgGetUserById|displayName"
)
COMBINATORS: Final = (
    "SimpleState", "OrDefault", "Distinct", "Resample", "ForEach", "ArgMax", "ArgMin", "OrNull", "Merge", "State",
    "Array", "Map", "If",
)  # fmt: skip


@cache
def allowed_functions() -> frozenset[str]:
    """Names of store_functions.txt, in lower case: some of the engine's functions are case-insensitive."""
    text = Path(__file__).with_name("store_functions.txt").read_text()
    return frozenset(line.lower() for line in text.split("\n") if line and not line.startswith("#"))


@cache
def is_allowed_function(name: str) -> bool:
    """Whether a scalar or aggregate function, with its combinators, is on the allow-list."""
    if name.lower() in allowed_functions():
        return True
    return any(
        len(name) > len(suffix) and name.endswith(suffix) and is_allowed_function(name.removesuffix(suffix))
        for suffix in COMBINATORS
    )
