#!/bin/sh
# Makes the virtual environment $1 with exactly the packages of the lock $2, and the project itself as it lies here.
# Uses uv when it is on the PATH, else Python's own venv and pip. PYTHON chooses the interpreter (3.11 or later).
set -eu
venv=$1
lock=$2

fail() {
    printf 'make setup: %s\n' "$1" >&2
    exit 1
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_recent "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of version 3.11 or later."
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_recent "$name"; then
            echo "$name"
            return
        fi
    done
    fail "no Python of version 3.11 or later is on the PATH. Install one, or name it: make setup PYTHON=/path/to/python3"
}

has_uv() {
    command -v uv >/dev/null 2>&1
}

# An environment that is there and good is kept: only what differs from the lock is installed.
make_venv() {
    if [ -z "${PYTHON:-}" ] && is_recent "$venv/bin/python"; then
        return
    fi
    python=$(find_python)
    if has_uv; then
        uv venv --quiet --clear --python "$python" "$venv"
    elif "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv --clear "$venv"
    else
        fail "this Python cannot make environments. On Debian and Ubuntu: apt install python3-venv"
    fi
}

# The second step installs the project as it lies here. Its build backend came with the lock, so no index is asked.
install_with_uv() {
    if ! uv pip sync --quiet --python "$venv/bin/python" --require-hashes "$lock"; then
        # uv brings certificates of its own, which a company's proxy is not among; the system's may know it.
        echo 'make setup: once more, with the certificates of the system.' >&2
        UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true \
            uv pip sync --quiet --python "$venv/bin/python" --require-hashes "$lock"
    fi
    uv pip install --quiet --python "$venv/bin/python" --no-build-isolation --no-deps --offline --editable .
}

install_with_pip() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --no-index \
        --editable .
}

make_venv
if has_uv; then
    install_with_uv
else
    [ -x "$venv/bin/pip" ] || "$venv/bin/python" -m ensurepip --default-pip >/dev/null 2>&1 ||
        fail "this Python has no pip. On Debian and Ubuntu: apt install python3-venv, then rm -r $venv and try again."
    install_with_pip
fi
