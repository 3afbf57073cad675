#!/usr/bin/env bash
# Write requirements.lock and requirements-cuda.lock (the extra "cuda" alone) anew from pyproject.toml, and the lock of the export
# environment from export.in: for every system and for Python 3.11 to 3.13, with the hashes of the public registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/uv"
"$work/uv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==0.13.9"

# What this machine sets for uv must not reach the lock; neither may versions that the present lock holds.
while IFS= read -r name; do
    unset "$name"
done < <(compgen -e | grep '^UV_' || true)

lock() { # SOURCE LOCK [OPTION...]
    "$work/uv/bin/uv" --no-config --quiet pip compile "$1" "${@:3}" --universal --python-version 3.11 \
        --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
        --output-file "$work/lock"
    mv "$work/lock" "$2"
    echo "$2: $(grep -c '==' "$2") packages"
}

lock pyproject.toml requirements.lock --extra dev
"$work/uv/bin/python" -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["cuda"], sep="\n")' >"$work/cuda.in"
lock "$work/cuda.in" requirements-cuda.lock

# torch stands in resources/export/torch.txt: its CPU build is not in the public registry. hf-xet only fetches.
printf '%s; sys_platform == "never"\n' torch hf-xet >"$work/without.txt"
lock packaging/export.in resources/export/requirements.lock --override "$work/without.txt" \
    --no-emit-package torch --no-emit-package hf-xet
