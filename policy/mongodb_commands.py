"""The commands and aggregation stages of MongoDB (8.x) and what each does at worst."""

from typing import Final

from policy.model import Operation

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

_BY_OPERATION: Final[dict[Operation, str]] = {
    _READ: (
        "find aggregate count distinct getMore explain listCollections listDatabases listIndexes listSearchIndexes"
        " dbStats collStats dataSize dbHash filemd5 ping hello isMaster buildInfo serverStatus hostInfo"
        " connectionStatus getParameter listCommands whatsmyuri getCmdLineOpts getLog top validate features currentOp"
        " startSession refreshSessions endSessions abortTransaction usersInfo rolesInfo replSetGetStatus"
        " replSetGetConfig listShards isdbgrid getShardMap getShardVersion balancerStatus balancerCollectionStatus"
        " connPoolStats shardConnPoolStats lockInfo getDefaultRWConcern getAuditConfig getDiagnosticData"
        " planCacheListFilters geoSearch availableQueryOptions driverOIDTest getLastError getPrevError getnonce"
        " atlasVersion getClusterParameter getQueryableEncryptionCountInfo checkShardingIndex dbCheck"
    ),
    _WRITE: "insert update findAndModify bulkWrite commitTransaction killCursors",
    _DELETE: "delete emptycapped captrunc",
    _DDL: (
        "create drop dropDatabase createIndexes dropIndexes deleteIndexes collMod renameCollection convertToCapped"
        " cloneCollectionAsCapped createSearchIndexes updateSearchIndex dropSearchIndex createView"
    ),
    _GRANT: (
        "createUser updateUser dropUser dropAllUsersFromDatabase grantRolesToUser revokeRolesFromUser createRole"
        " updateRole dropRole dropAllRolesFromDatabase grantPrivilegesToRole revokePrivilegesFromRole grantRolesToRole"
        " revokeRolesFromRole"
    ),
    # JavaScript on the server, and changing who one is.
    _EXECUTE: "eval $eval mapReduce group authenticate saslStart saslContinue logout",
    _ADMIN: (
        "applyOps copydb copydbgetnonce copydbsaslstart clone cloneCollection shutdown fsync fsyncUnlock killOp"
        " killSessions killAllSessions killAllSessionsByPattern setParameter setClusterParameter"
        " setFeatureCompatibilityVersion logRotate compact reIndex repairDatabase profile planCacheClear"
        " planCacheSetFilter planCacheClearFilters setIndexCommitQuorum setDefaultRWConcern setUserWriteBlockMode"
        " setAllowMigrations setAuditConfig logApplicationMessage invalidateUserCache rotateCertificates"
        " dropConnections configureFailPoint connPoolSync oidReset resync appendOplogNote autoCompact analyzeShardKey"
        " configureQueryAnalyzer setQuerySettings removeQuerySettings replSetInitiate replSetReconfig replSetStepDown"
        " replSetStepUp replSetFreeze replSetMaintenance replSetSyncFrom replSetResizeOplog replSetAbortPrimaryCatchUp"
        " replSetRequestVotes replSetHeartbeat replSetUpdatePosition addShard addShardToZone removeShard"
        " removeShardFromZone enableSharding shardCollection unshardCollection reshardCollection abortReshardCollection"
        " commitReshardCollection refineCollectionShardKey moveChunk moveRange moveCollection movePrimary split"
        " splitChunk splitVector mergeChunks mergeAllChunksOnShard clearJumboFlag cleanupOrphaned"
        " cleanupReshardCollection updateZoneKeyRange flushRouterConfig balancerStart balancerStop"
        " configureCollectionBalancing transitionToDedicatedConfigServer transitionFromDedicatedConfigServer"
        " setShardVersion unsetSharding medianKey cloneLocal sleep godinsert testDeprecation"
        " compactStructuredEncryptionData cleanupStructuredEncryptionData dbCheckStop"
    ),
}
COMMANDS: Final = {name.lower(): operation for operation, names in _BY_OPERATION.items() for name in names.split()}
"""By the name in lower case, as the server takes several spellings of some."""

_READ_STAGES: Final = (
    "match project addFields set unset group sort limit skip unwind lookup graphLookup unionWith facet bucket"
    " bucketAuto count sortByCount sample replaceRoot replaceWith redact geoNear densify fill setWindowFields documents"
    " search searchMeta vectorSearch rankFusion scoreFusion score indexStats collStats currentOp listSessions"
    " listLocalSessions listSampledQueries listClusterCatalog listSearchIndexes planCacheStats changeStream"
    " changeStreamSplitLargeEvent querySettings queryStats shardedDataDistribution"
)
STAGES: Final = {
    **{f"${name}": _READ for name in _READ_STAGES.split()},
    "$merge": _WRITE,
    "$out": _DELETE,
}
CODE: Final = frozenset({"$where", "$function", "$accumulator", "$code", "$scope"})
"""Operators whose value is JavaScript."""

GENERIC: Final = frozenset(
    "$db $readPreference $clusterTime lsid txnNumber autocommit startTransaction apiVersion apiStrict"
    " apiDeprecationErrors comment maxTimeMS readConcern writeConcern $audit $client $configServerState".split()
)
"""Fields that any command may have, and that name none."""

MIGHTY_ROLES: Final = frozenset(
    "root __system dbOwner userAdmin userAdminAnyDatabase dbAdminAnyDatabase readWriteAnyDatabase clusterAdmin"
    " clusterManager hostManager restore backup".split()
)
"""Roles that make whoever has them an administrator."""
