# shellcheck shell=bash
# Debian's, whatever else there is: the tests come with it.
python=/usr/bin/python3

# Runs tests of Python's standard library that are about files, in the current
# directory, and prints what became of each case.
python_tests() {  # [COMMAND TO RUN IT WITH] -- TEST ...
  local prefix=()
  while [[ $1 != -- ]]; do
    prefix+=("$1")
    shift
  done
  shift
  mkdir -m 1777 temporary
  # test_selflink counts how many links the kernel follows before ELOOP. Those of
  # an attempt that it gives up, for a rename elsewhere, count too.
  TMPDIR=$PWD/temporary "${prefix[@]}" "$python" -m test --tempdir \
    "$PWD/temporary" --junit-xml "$PWD/temporary/results.xml" \
    --ignore test_selflink "$@" >&2 || true
  "$python" - temporary/results.xml <<'PYTHON'
import sys
import xml.etree.ElementTree as ElementTree

for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
    # Of a case with parts there is a line for each.
    outcome = "ok"
    for kind in ("error", "failure", "skipped"):
        found = case.find(kind)
        if found is None:
            continue
        outcome = "failed"
        if kind == "skipped":
            outcome = "skipped: " + " ".join((found.text or "").split())
    print(f"{case.get('name')}: {outcome}")
PYTHON
}

needs_python_tests() {
  needs "$python"
  "$python" -c 'import test.test_os' 2>/dev/null ||
    skip "Python's own tests (libpython3.11-testsuite) are not installed"
}
