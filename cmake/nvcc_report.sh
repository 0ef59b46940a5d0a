#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs an nvcc command. What ptxas reports of each kernel stays in <object>.ptxas, and only the rest
# is shown.
[ -n "$1" ] || shift
for argument; do
  if [ "$previous" = -o ]; then object=$argument; fi
  previous=$argument
done
if [ -z "$object" ]; then exec "$@"; fi
report=$object.ptxas
rm -f "$report"
"$@" 2>"$report.part"
status=$?
grep -v -e '^ptxas info' -e '^ *[0-9]* bytes stack frame' "$report.part" >&2
# Only of what was compiled to its end.
if [ $status -eq 0 ]; then mv "$report.part" "$report"; else rm -f "$report.part"; fi
exit $status
