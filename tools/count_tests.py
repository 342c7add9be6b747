"""Counts the test cases of one or more `bazel test` runs.

Usage: count_tests.py DIRECTORY

DIRECTORY holds for each run NAME.json, what --build_event_json_file wrote, and
NAME.broken where the run itself failed. Names each failed case, then prints
"N passed, N failed, N skipped". Exit status 0 where something was tested and
nothing failed.
"""

import json
import pathlib
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def test_logs(events):
    """Yields (target, passed, path of test.xml or None) for each test."""
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if "testResult" not in event:
            continue
        result = event["testResult"]
        xml = None
        for output in result.get("testActionOutput", []):
            if output["name"] == "test.xml":
                xml = urllib.parse.unquote(
                    urllib.parse.urlparse(output["uri"]).path)
        passed = result.get("status") == "PASSED"
        yield event["id"]["testResult"]["label"], passed, xml


def cases(xml):
    """Yields (name, outcome) of each case in a test.xml."""
    for case in ElementTree.parse(xml).getroot().iter("testcase"):
        name = ".".join(
            part for part in (case.get("classname"), case.get("name")) if part)
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif case.find("skipped") is not None or (
                case.get("result") in ("skipped", "suppressed")):
            yield name, "skipped"
        elif case.get("status") == "notrun":
            continue  # left out by a filter
        else:
            yield name, "passed"


def count_run(events, total):
    """Adds the cases of one run to `total`, naming those that failed."""
    for target, passed, xml in test_logs(events):
        failed_here = 0
        if xml is not None:
            for name, outcome in cases(xml):
                total[outcome] += 1
                if outcome == "failed":
                    failed_here += 1
                    print(f"FAILED {events.stem}: {target} {name}")
        # A program that crashed or ran out of time names no failed case.
        if not passed and failed_here == 0:
            total["failed"] += 1
            print(f"FAILED {events.stem}: {target}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for events in sorted(directory.glob("*.json")):
        count_run(events, total)
    for broken in sorted(directory.glob("*.broken")):
        total["failed"] += 1
        print(f"FAILED {broken.stem}: {broken.read_text().splitlines()[0]}")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**total))
    return 0 if total["passed"] > 0 and total["failed"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
