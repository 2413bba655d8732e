#!/bin/sh
# Checks an evidence pack. Needs sh, sha256sum, ssh-keygen and python3, and no program of Countersign.
#
#   sh verify.sh [--vkey FILE] [--head FILE]... [--from TIME] [--to TIME]
#
# Ends with 0: all is as it should be; 9: something is not; 1: it cannot be told.
set -u
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
here=$(CDPATH='' cd -- "$here" && pwd) || exit 1
for tool in sha256sum ssh-keygen python3; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "cannot check: \`$tool\` is not installed" >&2
        exit 1
    fi
done
if ! wrong=$(cd "$here" && LC_ALL=C sha256sum --quiet -c manifest.sha256 2>&1); then
    # Names come from whoever made the pack: nothing of them may act on a terminal.
    printf '%s\n' "$wrong" | python3 -I -c '
import sys
said = sys.stdin.buffer.read().decode("latin-1")
sys.stderr.write("".join(c if " " <= c <= "~" or c == "\n" else f"\\x{ord(c):02x}" for c in said))
'
    echo "NOT GOOD: a file is not the one that manifest.sha256 names" >&2
    exit 9
fi
exec python3 -I -B "$here/verify.py" "$here" "$@"
