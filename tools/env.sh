# Sourced by ./setup, ./demo, ./test and .ci/run: goes to the repository's root and finds tools installed there.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# rustup's directory is on the PATH of new shells only; ./setup puts prebuilt tools into the other one.
for dir in "${CARGO_HOME:-$HOME/.cargo}/bin" "$PWD/target/tools/bin"; do
    case ":$PATH:" in
        *":$dir:"*) ;;
        *) PATH="$PATH:$dir" ;;
    esac
done
export PATH

has() { command -v "$1" >/dev/null 2>&1; }
step() { printf '\n== %s\n' "$*" >&2; }
say() { printf '%s\n' "$*" >&2; }

# Where this user may: Debian's packages of these names. RUNLEVEL=1: no service of theirs is started.
install_debian() {
    local -a as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    has apt-get && "${as_root[@]}" true 2>/dev/null || return 0
    step "installing $*"
    "${as_root[@]}" apt-get -qq update >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get -qq install -y --no-install-recommends "$@" >&2
}
