#!/bin/sh
# Makes requirements.lock and its -image, -image-archive, -dev and -bench siblings from pyproject.toml: exact versions
# with hashes, for every Python from 3.11 on and every platform, and no address of where they come from. Needs uv; keeps
# the versions that the locks have unless called with --upgrade.
set -eu
cd "$(dirname "$0")/.."

# Settings of the caller decide what would be found, so none of them takes part.
for name in $(env | sed -n 's/^\(UV_[A-Z_]*\|PIP_[A-Z_]*\)=.*/\1/p'); do
    unset "$name"
done

compile() {
    uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"
}

# The build backend is locked too, so that the project itself is installed without asking an index.
build=$(mktemp)
trap 'rm -f "$build"' EXIT
sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml >"$build"
echo editables >>"$build"

compile "$@" pyproject.toml "$build" --all-extras --output-file requirements.lock
compile "$@" pyproject.toml "$build" --extra otel --extra web --extra sandbox --constraint requirements.lock --output-file requirements-image.lock
compile "$@" pyproject.toml "$build" --extra archive --extra otel --extra web --extra sandbox --constraint requirements.lock \
    --output-file requirements-image-archive.lock
compile "$@" pyproject.toml "$build" --all-extras --group dev --constraint requirements.lock --output-file requirements-dev.lock
compile "$@" pyproject.toml "$build" --all-extras --group bench --constraint requirements.lock --output-file requirements-bench.lock

if grep -n '://' requirements*.lock; then
    echo "A lock names an address." >&2
    exit 1
fi
