#!/bin/bash
# Makes the fixtures in tests/reference/data from independent programs. Nothing here is needed to use or to test Canopy.
set -euo pipefail
cd "$(dirname "$0")"
task="make reference"
root=$(cd ../.. && pwd)
venv=$root/.venv-reference
work=$root/build/reference
python=${PYTHON:-python3}
log=$work/make.log
source ./programs.sh

start_log
# For any processor of this kind, and quick to compile: what it computes is compared, not how fast.
install_programs "$venv" requirements.txt -DGGML_OPENMP=OFF -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1
fetch_model "$venv"
for script in make_tokens make_statistics make_model make_numbers make_pipeline make_beams make_onnx make_tiny make_checkpoints make_exports make_given; do
    echo "$script ..."
    run "$venv" "$script.py"
done
find data -size +2000k | grep . && fail "these fixtures are larger than 2 MB."
rm -rf "$work/hf" "$work/onnx"
echo "The fixtures are in tests/reference/data; \`git diff --stat\` shows what changed."
