#!/usr/bin/env bash
# The codec needs the C library and nothing else.
set -euo pipefail
program=$1
[[ $("$program") == ok ]]
needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | sort)
# Sanitizers bring their own.
needed=$(grep -vE '^lib(a|ub)san\.' <<<"$needed" || true)
if [[ $needed != libc.so.6 ]]; then
  echo "linked with more than the C library: $needed" >&2
  # With a sanitizer its run-time library is what needs them.
  readelf -d "$program" | grep -qE 'lib(a|ub)san' || exit 1
fi
