#!/usr/bin/env bash
# Makes .venv and fetches what the embedded stack runs on. Repeatable; a second run finds everything in place.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV="$ROOT/.venv"
STAMP="$VENV/.custody-setup"
LOCKS=(requirements.lock requirements-dev.lock)
# What the tests and benches drive; pgbench comes with the server's package.
TEST_TOOLS=(rsyslogd pgbouncer wrk psql pgbench)
TEST_PACKAGES=(rsyslog rsyslog-gnutls pgbouncer wrk postgresql-client postgresql)
JAVA_PACKAGES=(openjdk-17-jre-headless maven)
# The capture code is compiled where this is at hand, and runs interpreted elsewhere.
COMPILER_PACKAGES=(gcc libc6-dev)
OWN_PACKAGES=(schemas masking policy ingest processors sinks deploy console)

say() { printf 'custody: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }

is_python_313() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1; }

# A python3.13 on PATH may be a shim that does not run: each candidate is tried.
find_python() {
    local candidate
    for candidate in python3.13 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 \
        "$(uv python find --no-python-downloads 3.13 2>/dev/null || true)"; do
        if [ -n "$candidate" ] && is_python_313 "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python 3.13 was not found on PATH, under pyenv or uv: run 'pyenv install 3.13' or 'uv python install 3.13'"
}

make_venv() {
    if is_python_313 "$VENV/bin/python"; then return; fi
    local python
    python=$(find_python)
    say "making .venv"
    "$python" -m venv --clear "$VENV"
}

hash_of_inputs() { (cd "$ROOT" && sha256sum "${LOCKS[@]}" pyproject.toml deploy/setup.sh | sha256sum | cut -d' ' -f1); }

install_packages() {
    local wanted
    wanted=$(hash_of_inputs)
    if [ "$(cat "$STAMP" 2>/dev/null || true)" = "$wanted" ]; then return; fi
    say "installing Python packages (some minutes the first time) ..."
    local pip=("$VENV/bin/python" -m pip --disable-pip-version-check install --quiet)
    "${pip[@]}" --require-hashes -r "$ROOT/requirements.lock" -r "$ROOT/requirements-dev.lock"
    "${pip[@]}" --no-deps --no-build-isolation -e "$ROOT"
    printf '%s\n' "$wanted" >"$STAMP"
}

is_debian_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

list_missing() {
    local tool
    for tool in "$@"; do
        # Debian keeps rsyslogd outside an ordinary user's PATH.
        PATH="$PATH:/usr/sbin" command -v "$tool" >/dev/null || printf '%s ' "$tool"
    done
}

install_system_packages() {
    local missing_tools missing_java missing_compiler packages=()
    missing_tools=$(list_missing "${TEST_TOOLS[@]}")
    missing_java=$(list_missing java mvn)
    missing_compiler=$(list_missing cc)
    if [ -z "$missing_tools$missing_java$missing_compiler" ]; then return; fi
    if ! is_debian_root; then
        if [ -n "$missing_java" ]; then
            fail "${missing_java}missing: install Java 17 and Maven (on Debian: apt-get install ${JAVA_PACKAGES[*]})"
        fi
        if [ -n "$missing_tools" ]; then
            say "for 'make test' also install: ${missing_tools}(on Debian: apt-get install ${TEST_PACKAGES[*]})"
        fi
        return
    fi
    if [ -n "$missing_java" ]; then packages+=("${JAVA_PACKAGES[@]}"); fi
    if [ -n "$missing_tools" ]; then packages+=("${TEST_PACKAGES[@]}"); fi
    if [ -n "$missing_compiler" ]; then packages+=("${COMPILER_PACKAGES[@]}"); fi
    say "installing ${packages[*]} ..."
    install_with_apt "${packages[@]}"
}

# The packages' own servers stay off and no database cluster is made: tests start what they need.
install_with_apt() {
    local policy=/usr/sbin/policy-rc.d clusters=/etc/postgresql-common/createcluster.d/custody.conf log
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    else
        policy=
    fi
    mkdir -p "${clusters%/*}"
    printf 'create_main_cluster = false\n' >"$clusters"
    local status=0
    {
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
    } >"$log" 2>&1 </dev/null || status=$?
    rm -f "$clusters" ${policy:+"$policy"}
    if [ "$status" != 0 ]; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install $*"
    fi
    rm -f "$log"
}

# Where processes write no bytecode (PYTHONDONTWRITEBYTECODE), each start would compile the sources anew, a third of its
# CPU time. A source edited later is compiled as it is read, and one with a fault is for lint to name.
compile_bytecode() { (cd "$ROOT" && "$VENV/bin/python" -m compileall -qq "${OWN_PACKAGES[@]}") || true; }

main() {
    make_venv
    install_packages
    install_system_packages
    compile_bytecode
    (cd "$ROOT" && "$VENV/bin/python" -m deploy.native && "$VENV/bin/python" -m deploy.detectors &&
        "$VENV/bin/python" -m deploy.embedded.jars)
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then main; fi
