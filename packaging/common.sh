# For the scripts beside this file, which read it: the program and its version, one moment for all files, a folder that is removed at the end.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The same program makes the same package, byte by byte, wherever and whenever: files have the time of the commit, or a fixed one.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 1700000000)
fi
export SOURCE_DATE_EPOCH
umask 022
# For tests: `quick` makes larger packages in less time.
quick=${SYNCLINE_PACKAGING:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The program under its own name: packages take a file's name over.
use() {
    mkdir -p "$work/program"
    cp "$1" "$work/program/syncline"
    chmod 755 "$work/program/syncline"
    program=$work/program/syncline
    version=$("$program" -V)
    version=${version#syncline }
    export SYNCLINE_PROGRAM=$program
}

# A folder for what is made, as an absolute path.
into() {
    mkdir -p "$1"
    out=$(cd "$1" && pwd)
}
