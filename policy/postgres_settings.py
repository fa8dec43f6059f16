"""What setting a PostgreSQL parameter means for who acts and how later statements are read."""

from collections.abc import Sequence
from typing import Final

from policy.model import Operation

# Settings that change neither what a statement means nor who runs it.
_HARMLESS_SETTINGS: Final = frozenset(
    "application_name timezone datestyle intervalstyle extra_float_digits bytea_output statement_timeout"
    " lock_timeout idle_in_transaction_session_timeout idle_session_timeout transaction_timeout"
    " client_min_messages check_function_bodies xmloption lc_messages lc_monetary lc_numeric lc_time"
    " default_transaction_isolation transaction_isolation transaction transaction_deferrable"
    " synchronize_seqscans default_table_access_method default_tablespace escape_string_warning"
    " quote_all_identifiers plan_cache_mode jit enable_seqscan enable_indexscan enable_bitmapscan"
    " enable_hashjoin enable_mergejoin enable_nestloop work_mem random_page_cost cursor_tuple_fraction geqo"
    " from_collapse_limit join_collapse_limit max_parallel_workers_per_gather tcp_keepalives_idle"
    " gin_fuzzy_search_limit default_statistics_target effective_cache_size"
    " restrict_nonsystem_relation_kind".split()
)
# Settings under which the server would read the next statements otherwise than we do, and the values we share.
_LEXICAL_SETTINGS: Final[dict[str, frozenset[str]]] = {
    "standard_conforming_strings": frozenset({"on", "true", "yes"}),
    "client_encoding": frozenset({"utf8", "utf-8", "unicode", "sql_ascii", "latin1", "iso-8859-1", "iso88591"}),
    "names": frozenset({"utf8", "utf-8", "unicode"}),
    "backslash_quote": frozenset({"safe_encoding", "off"}),
}
_IDENTITY_SETTINGS: Final = frozenset({"role", "session_authorization"})
# Settings that load code, switch off rules, or keep the server from writing down what is done.
_ADMIN_SETTINGS: Final = frozenset(
    "session_replication_role session_preload_libraries local_preload_libraries dynamic_library_path is_superuser"
    " allow_system_table_mods zero_damaged_pages ignore_system_indexes ignore_checksum_failure jit_provider".split()
)
_ADMIN_PREFIXES: Final = ("log_", "debug_", "plpython", "pltcl", "plperl", "pgaudit", "auto_explain", "track_")


def classify_setting(name: str, values: Sequence[str]) -> Operation:
    """READ for settings without consequence, EXECUTE for the role in use, ADMIN for what changes the language or the
    rules, else WRITE. A search path that puts something before pg_catalog can give any function another meaning.

    `values` are the string constants given; numbers are never trusted, since the cache makes them all zero.
    """
    name = name.lower()
    if name in _IDENTITY_SETTINGS:
        return Operation.EXECUTE
    if name in _ADMIN_SETTINGS or name.startswith(_ADMIN_PREFIXES):
        return Operation.ADMIN
    if name == "search_path" and _shadows(values):
        return Operation.EXECUTE
    if name in _LEXICAL_SETTINGS:
        shared = _LEXICAL_SETTINGS[name]
        is_shared = bool(values) and all(value.lower() in shared for value in values)
        return Operation.READ if is_shared else Operation.ADMIN
    return Operation.READ if name in _HARMLESS_SETTINGS or name == "session characteristics" else Operation.WRITE


def _shadows(values: Sequence[str]) -> bool:
    path = [part.strip().strip('"').lower() for value in values for part in value.split(",")]
    return "pg_catalog" in path[1:] or "pg_temp" in path[:-1]
