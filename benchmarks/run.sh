#!/bin/bash
# Compares this program with its peers on this machine; the options are those of benchmarks/compare.py (--quick, --help).
# `make bench` makes .venv and the model first; the peers have an environment of their own, .venv-bench.
set -euo pipefail
cd "$(dirname "$0")/.."
task="make bench"
root=$PWD
venv=$root/.venv-bench
work=$root/build/bench
python=${PYTHON:-python3}
log=$work/make.log
source tests/reference/programs.sh

start_log
# The peer at its best: all optimisation, this processor's instructions, and OpenMP, which is llama.cpp's own default.
install_programs "$venv" "$root/benchmarks/requirements.txt" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON
fetch_model "$venv"
if [[ ! -d $work/hf ]]; then
    echo "Turning the GGUF's weights into fp32 for transformers ..."
    run "$venv" tests/reference/make_model.py
    mv "$root/build/reference/hf" "$work/hf"
fi
if [[ ! -d $work/onnx ]]; then
    echo "Exporting them with optimum ..."
    rm -rf "$work/onnx.part"
    run "$venv" -c "from optimum.exporters.onnx import main_export
main_export('$work/hf', '$work/onnx.part', task='text-generation-with-past', do_validation=False)"
    mv "$work/onnx.part" "$work/onnx"
fi
exec "$venv/bin/python" -m benchmarks.compare "$@"
