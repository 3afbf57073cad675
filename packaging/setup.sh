#!/usr/bin/env bash
# Make everything that the program needs: system packages, .venv and the model. What is there already is left alone.
#
#   packaging/setup.sh [--for-tests] [system] [environment] [cuda] [project] [model]
#
# Without the name of a step all are taken, "cuda" (NVIDIA's libraries, for a card) only with CUDA=1 in the environment.
# --for-tests adds what `make test` needs. PYTHON names the Python to use.
# A failure is one sentence on standard error with status 1; the long output of the tools is kept in build/setup.log.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv
LOG=build/setup.log
LOW_DISK_KIB=20480
QT_PACKAGES=(libegl1 libgl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1
    libxcb-render-util0 libxcb-shape0 libdbus-1-3 libfontconfig1 libglib2.0-0 libwayland-cursor0 libwayland-egl1)
TEST_PACKAGES=(xvfb openbox xdotool)
for_tests=no

fail() {
    echo "setup: $*" >&2
    exit 1
}

fingerprint() {
    "$PYTHON" -c 'import hashlib, os, sys
print(hashlib.sha256(b"".join([open(sys.argv[1], "rb").read(), sys.version.encode(), os.getcwd().encode()])).hexdigest())' "$1"
}

is_current() { # FILE STAMP: was STAMP written for this FILE, this Python and this folder?
    [[ -f $2 && $(<"$2") == "$(fingerprint "$1")" ]]
}

require_python() {
    if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        fail "$PYTHON is not Python 3.11, 3.12 or 3.13: install one of these, or name it with \`make PYTHON=/path/to/python3\`."
    fi
}

has_venv() {
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null
}

is_installed() { # Later Debians call some libraries NAMEt64.
    local states
    states=" $(dpkg-query --show --showformat='${db:Status-Status} ' "$1" "$1t64" 2>/dev/null || true)"
    [[ $states == *" installed "* ]]
}

system() {
    require_python
    local missing=() package
    has_venv || missing+=(python3-venv)
    if [[ -f /etc/debian_version ]] && command -v dpkg-query >/dev/null; then
        local wanted=("${QT_PACKAGES[@]}")
        [[ $for_tests == no ]] || wanted+=("${TEST_PACKAGES[@]}")
        for package in "${wanted[@]}"; do
            is_installed "$package" || missing+=("$package")
        done
    elif ((${#missing[@]})); then
        fail "$PYTHON has no venv module (Debian's package python3-venv): install it with your system's package manager, then try again."
    elif [[ ! -d $VENV ]]; then
        echo "This is not a Debian system: if the window does not open, install what Qt needs (its Debian names: ${QT_PACKAGES[*]})."
    fi
    ((${#missing[@]})) || return 0

    local install="apt-get install --no-install-recommends ${missing[*]}"
    if ((EUID != 0)); then
        fail "these Debian packages are missing: ${missing[*]}; install them with \`sudo $install\`, then try again."
    fi
    echo "Installing Debian packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$LOG" 2>&1; then
        fail "apt-get could not install ${missing[*]}: check the network and the free disk space, then run \`apt-get update && $install\` ($LOG says more)."
    fi
    has_venv || fail "$PYTHON has no venv module although python3-venv is installed: name Debian's own with \`make PYTHON=/usr/bin/python3\`."
}

disk_is_full() {
    grep -q 'No space left on device' "$LOG" && return 0
    local free
    free=$(df --output=avail -k . "${TMPDIR:-/tmp}" 2>/dev/null | tail -n +2 | sort -n | head -n 1) || return 1
    [[ -n $free ]] && ((free < LOW_DISK_KIB))
}

fail_installing() { # [LOCK]: say in one sentence why pip did not install, from what it wrote.
    local lock=${1:-requirements.lock} again="then try again ($LOG says more)."
    if disk_is_full; then
        fail "the disk is full: free about 3 GB in this folder and 1 GB in ${TMPDIR:-/tmp}, $again"
    elif grep -q 'DO NOT MATCH THE HASHES' "$LOG"; then
        fail "a downloaded package is not the one that $lock names (wrong hash), so nothing was installed: run \`git checkout $lock\` if you changed it, and \`$PYTHON -m pip cache purge\`, $again"
    elif grep -qiE 'connection|timed out|retrying|could not fetch|SSLError|ProxyError|HTTP error' "$LOG"; then
        fail "the Python packages could not be downloaded: check the network and pip's settings, $again"
    elif grep -q 'No matching distribution found' "$LOG"; then
        fail "pip found no ready-made package for this system: check that pip's settings name a registry that has $(grep -m 1 -oP 'No matching distribution found for \K\S+' "$LOG"), $again"
    fi
    fail "the Python packages could not be installed: look at the end of $LOG, mend what it names, then try again."
}

install_locked() { # LOCK. Wheels only: a source package would fetch its build tools unchecked, and need a compiler.
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --only-binary :all: --require-hashes \
        --requirement "$1" >>"$LOG" 2>&1
}

environment() {
    is_current requirements.lock "$VENV/.canopy-environment" && return 0
    require_python
    has_venv || fail "$PYTHON has no venv module: install Debian's python3-venv, then try again."
    rm -rf "$VENV"
    trap 'rm -rf "$VENV"' EXIT
    trap 'echo "setup: interrupted, and nothing half-made is left: run it again to go on." >&2; exit 130' INT TERM HUP
    echo "Installing the Python packages into $VENV (about 400 MB to download, a few minutes)"
    "$PYTHON" -m venv "$VENV" >"$LOG" 2>&1 || fail_installing
    install_locked requirements.lock || fail_installing
    fingerprint requirements.lock >"$VENV/.canopy-environment" || fail_installing
    trap - EXIT INT TERM HUP
}

cuda() { # The environment stays whole without it: a failure here leaves what was there.
    local lock=requirements-cuda.lock
    is_current "$lock" "$VENV/.canopy-cuda" && return 0
    if [[ $(uname -sm) != "Linux x86_64" ]]; then
        fail "NVIDIA's libraries are installed for Linux on x86-64 only, and this is $(uname -sm): run it without CUDA=1."
    fi
    echo "Installing NVIDIA's CUDA libraries into $VENV (about 600 MB to download)"
    : >"$LOG"
    install_locked "$lock" || fail_installing "$lock"
    fingerprint "$lock" >"$VENV/.canopy-cuda" || fail_installing "$lock"
}

project() {
    is_current pyproject.toml "$VENV/.canopy-project" && return 0
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps --no-build-isolation \
        --editable . >"$LOG" 2>&1 || fail_installing
    fingerprint pyproject.toml >"$VENV/.canopy-project" || fail_installing
}

model() {
    "$VENV/bin/python" -m canopy_desktop models build smollm2-135m-instruct
    [[ $for_tests == no ]] || "$VENV/bin/python" -m canopy_desktop models build smollm2-135m-instruct --precision fp32
}

if [[ ${1-} == --for-tests ]]; then
    for_tests=yes
    shift
fi
if ((!$#)); then
    set -- system environment project model
    [[ ${CUDA-} != 1 ]] || set -- system environment cuda project model
fi
mkdir -p build || fail "this folder cannot be written to: check its owner and the free disk space, then try again."
for step; do
    case $step in
        system | environment | cuda | project | model) "$step" ;;
        *) fail "there is no step \"$step\": choose from system, environment, cuda, project and model." ;;
    esac
done
