"""What calling a PostgreSQL function or operator means, by its name.

A name that no list knows is somebody's own code: it runs on the server and counts as execute.
"""

from importlib.resources import files
from typing import Final

import orjson

from policy.model import Operation

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

# setseed and the like change nothing but the own session's dice.
READ_ONLY_FUNCTIONS: Final[frozenset[str]] = frozenset(
    orjson.loads((files("policy") / "read_only_functions.json").read_bytes())["names"]
) | frozenset(
    "setseed lo_get loread lo_tell lo_tell64 lo_lseek lo_lseek64 lo_close pg_stat_clear_snapshot pg_control_checkpoint"
    " pg_control_init pg_control_recovery pg_control_system pg_notification_queue_usage pg_get_backend_memory_contexts"
    " pg_get_multixact_members pg_show_replication_origin_status pg_export_snapshot amvalidate txid_status"
    " system bernoulli pg_replication_origin_progress".split()
)
# Of extensions that many databases have, the functions that only compute.
EXTENSION_FUNCTIONS: Final = frozenset(
    # pg_trgm, fuzzystrmatch, unaccent, citext
    "similarity word_similarity strict_word_similarity show_trgm show_limit levenshtein levenshtein_less_equal soundex"
    " difference metaphone dmetaphone dmetaphone_alt daitch_mokotoff unaccent citext"
    # uuid-ossp, pgcrypto
    " uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v4 uuid_generate_v5 uuid_nil uuid_ns_dns"
    " uuid_ns_url uuid_ns_oid uuid_ns_x500 crypt gen_salt digest hmac encrypt decrypt encrypt_iv decrypt_iv"
    " gen_random_bytes pgp_sym_encrypt pgp_sym_decrypt pgp_pub_encrypt pgp_pub_decrypt pgp_sym_encrypt_bytea"
    " pgp_sym_decrypt_bytea pgp_pub_encrypt_bytea pgp_pub_decrypt_bytea pgp_key_id armor dearmor"
    # hstore, ltree, intarray, cube, earthdistance, tablefunc, isn
    " hstore akeys avals skeys svals each slice hstore_to_json hstore_to_jsonb hstore_to_array hstore_to_matrix"
    " subltree subpath nlevel text2ltree ltree2text lca icount intset uniq sort_asc sort_desc subarray cube cube_dim"
    " cube_distance cube_ll_coord cube_ur_coord earth_distance earth_box ll_to_earth latitude longitude normal_rand"
    " is_valid int_array_aggregate int_array_enum pg_stat_statements pg_stat_statements_info"
    # vectors, time series, statistics
    " l2_distance inner_product cosine_distance l1_distance hamming_distance jaccard_distance vector_dims vector_norm"
    " l2_normalize subvector binary_quantize time_bucket time_bucket_gapfill locf interpolate approximate_row_count"
    " hypertable_size hypertable_detailed_size chunks_detailed_size show_chunks h3_latlng_to_cell postgis_version"
    " postgis_full_version pgstattuple pgstatindex pgrowlocks geometrytype find_srid xml_valid".split()
)
_EXTENSION_PREFIXES: Final = ("st_",)  # PostGIS: the functions that change tables are called otherwise
_HOME_SCHEMAS: Final = frozenset({"", "public", "extensions"})

_BY_OPERATION: Final[dict[Operation, str]] = {
    _WRITE: (
        "nextval setval pg_notify lo_creat lo_create lo_from_bytea lo_open lo_put lowrite lo_truncate lo_truncate64"
        " pg_advisory_lock pg_advisory_lock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared"
        " pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock"
        " pg_try_advisory_xact_lock_shared pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all"
        " set_limit pg_logical_emit_message brin_summarize_new_values brin_summarize_range brin_desummarize_range"
        " gin_clean_pending_list"
    ),
    _DELETE: "lo_unlink",
    _DDL: "addgeometrycolumn dropgeometrycolumn dropgeometrytable updategeometrysrid populate_geometry_columns"
    " create_hypertable drop_chunks add_retention_policy create_distributed_table",
    # Files and processes of the server, other servers, and time that others wait for.
    _EXECUTE: (
        "pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_current_logfile lo_import lo_export"
        " pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings pg_file_write pg_file_rename"
        " pg_file_unlink pg_file_read pg_logdir_ls pg_file_sync pg_sleep pg_sleep_for pg_sleep_until"
        " postgres_fdw_get_connections postgres_fdw_disconnect postgres_fdw_disconnect_all"
    ),
    _ADMIN: (
        "pg_terminate_backend pg_cancel_backend pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_promote"
        " pg_switch_wal pg_create_restore_point pg_import_system_collations pg_log_backend_memory_contexts"
        " pg_extension_config_dump pg_nextoid pg_stop_making_pinned_objects pg_stat_statements_reset"
    ),
}
_NAMED: Final = {name: operation for operation, names in _BY_OPERATION.items() for name in names.split()}
_PREFIXES: Final = {
    _EXECUTE: ("pg_ls_", "dblink", "http_", "pg_background_"),
    _ADMIN: (
        "pg_backup_", "pg_replication_", "pg_logical_", "pg_create_logical", "pg_create_physical", "pg_copy_logical",
        "pg_copy_physical", "pg_drop_replication", "pg_sync_replication", "pg_wal_replay_", "pg_stat_reset",
        "pg_restore_", "pg_clear_", "binary_upgrade_", "pg_start_backup", "pg_stop_backup", "cron_",
    ),
}  # fmt: skip
TEXT_RUNNERS: Final = frozenset(
    "query_to_xml query_to_xml_and_xmlschema query_to_xmlschema ts_stat ts_rewrite crosstab crosstab2 crosstab3"
    " crosstab4 crosstabn connectby xpath_table dblink dblink_exec dblink_send_query dblink_open"
    " cron_schedule pg_background_launch plpgsql_inline_handler".split()
)
"""Functions that run SQL given to them as text."""
_TABLE_DUMPERS: Final = frozenset(
    "table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema"
    " schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema cursor_to_xml"
    " cursor_to_xmlschema".split()
)
FILE_VIEWS: Final = frozenset({"pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings"})
"""Views that read files of the server."""
SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})
# The built-in operators, and those of the extensions above.
_OPERATORS: Final = frozenset(
    "!! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <="
    " <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~="
    " ~>=~ ~>~ ~~ ~~* != #<# #<=# #= #># #>=# %# %% %> %>> <#> <% <->> <->>> <<% <<-> <<<-> <@> ?<@ ?@ ?@> ?~"
    " ^<@ ^? ^@> ^~ ~> <=> <+> <~> <%> &/& |=| <<#>> <<->> &&& ~~= =~ =~* @!".split()
)


def known_danger(name: str) -> Operation:
    """What a function of this name is known to do at worst; READ for a name that no list of dangers has."""
    if name in _NAMED:
        return _NAMED[name]
    if name in TEXT_RUNNERS or name in _TABLE_DUMPERS:
        return _EXECUTE
    return next((danger for danger, prefixes in _PREFIXES.items() if name.startswith(prefixes)), _READ)


def function_operation(name: str, schema: str = "") -> Operation:
    """What a call does at worst. A name that is not known is somebody's own code."""
    if name in READ_ONLY_FUNCTIONS and (not schema or schema in SYSTEM_SCHEMAS):
        return _READ
    if schema in _HOME_SCHEMAS and (name in EXTENSION_FUNCTIONS or name.startswith(_EXTENSION_PREFIXES)):
        return _READ
    danger = known_danger(name)
    if danger is _READ or (schema and schema not in SYSTEM_SCHEMAS):
        return max(danger, _EXECUTE, key=lambda operation: operation.rank)
    return danger


def operator_operation(words: list[str]) -> Operation:
    """What an operator does: those of no list, and of a schema of one's own, are calls of somebody's function."""
    if not words or (words[-1] in _OPERATORS and (len(words) == 1 or words[0] in SYSTEM_SCHEMAS)):
        return _READ
    # "= ANY", BETWEEN, LIKE and their kind come as words.
    return _READ if len(words) == 1 and words[0][:1].isalpha() else _EXECUTE
