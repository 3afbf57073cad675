#!/usr/bin/env bash
# Write requirements.lock anew from pyproject.toml: for every system and for Python 3.11 to 3.13, with the hashes of the public registry.
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
"$work/uv/bin/uv" --no-config --quiet pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
    --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
    --output-file "$work/requirements.lock"
mv "$work/requirements.lock" requirements.lock
echo "requirements.lock: $(grep -c '==' requirements.lock) packages"
