#!/usr/bin/env bash
# Removes what setup and the stack made in this checkout, and says so. Caches outside the checkout stay.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STATE=${CUSTODY_HOME:-$ROOT/.custody}

if [ -x "$ROOT/.venv/bin/custody" ] && [ -d "$STATE/run" ]; then
    CUSTODY_HOME="$STATE" "$ROOT/.venv/bin/custody" down
fi

remove() {
    local what=$1 path=$2
    if [ -e "$path" ]; then
        printf 'custody: removing %s (%s)\n' "$path" "$what" >&2
        rm -rf -- "$path"
    fi
}

# Only what is a home is removed: $CUSTODY_HOME may name anything.
if [ -d "$STATE/secrets" ]; then remove "records, keys, logs" "$STATE"; fi
remove "Python packages" "$ROOT/.venv"
for cache in .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build custody.egg-info; do
    remove "cache" "$ROOT/$cache"
done
find "$ROOT" -name __pycache__ -type d -not -path "*/.git/*" -prune -exec rm -rf {} +
