"""Compares what workloads said on a directory and on a mount of it.

Usage: compare.py one DIRECTORY
       compare.py table DIRECTORY NAME ... --title TEXT [--json FILE]

`one` prints a line for the workload whose results are in DIRECTORY, and below it
what differs. `table` prints a table of those in DIRECTORY/NAME and at last
"N passed, N failed, N skipped". Exit status of `table`: 0 where something was
compared and nothing differs.

The results, where SIDE is source or mount: SIDE.verdict has a line "CASE: WHAT
CAME OUT" for each case, SIDE.status the exit status, SIDE.seconds how long it
took, SIDE.log what else was printed; server.faults has a line for each fault of
the server, stats.json what it has counted.
"""

import argparse
import collections
import fnmatch
import json
import pathlib
import sys

SKIPPED = "77"  # the exit status of a workload whose program is missing


def read(path):
    return path.read_text(errors="replace") if path.exists() else ""


def known_differences():
    """(pattern, reason) of each difference that is to be expected."""
    known = []
    path = pathlib.Path(__file__).parent / "known_differences.txt"
    for line in path.read_text().splitlines():
        if line.startswith(" "):
            known[-1][1] = (known[-1][1] + " " + line.strip()).strip()
        elif line and not line.startswith("#"):
            known.append([line, ""])
    return known


def cases(verdict):
    """By the case's name what came out, a list where there are several."""
    found = collections.defaultdict(list)
    for line in verdict.splitlines():
        name, _, outcome = line.partition(": ")
        found[name].append(outcome)
    return found


class Side:
    def __init__(self, directory, side):
        self.status = read(directory / f"{side}.status").strip()
        self.seconds = float(read(directory / f"{side}.seconds") or 0)
        self.verdict = read(directory / f"{side}.verdict")
        self.log = read(directory / f"{side}.log")
        self.cases = cases(self.verdict) if self.status == "0" else {}


class Workload:
    def __init__(self, directory):
        self.name = directory.name
        self.source = Side(directory, "source")
        self.mount = Side(directory, "mount")
        self.passed = self.skipped = 0
        self.differences = []  # sentences
        self.same_failures = []  # cases that fail on both sides
        self.why_skipped = {}
        faults = read(directory / "server.faults").splitlines()
        self.passed += not faults  # the server
        try:
            self.statistics = json.loads(read(directory / "stats.json"))
        except json.JSONDecodeError:
            self.statistics = {}
        self.compare()
        self.differences = self.without_known(self.differences)
        self.faults = self.without_known([f"server: {fault}" for fault in faults])

    def without_known(self, differences):
        left = []
        for difference in differences:
            why = [reason for pattern, reason in known_differences()
                   if fnmatch.fnmatchcase(f"{self.name}: {difference}", pattern)]
            if why:
                self.skipped += 1
                self.why_skipped[difference] = why[0]
            else:
                left.append(difference)
        return left

    def compare(self):
        if self.source.status == self.mount.status == SKIPPED:
            self.passed = 0
            self.skipped = 1
            self.why_skipped["all"] = self.source.verdict.strip()
            return
        for side, where in ((self.source, "source"), (self.mount, "mount")):
            if side.status != "0":
                last = side.log.strip().splitlines()[-1:] or [""]
                self.differences.append(f"on the {where} it broke off, status "
                                        f"{side.status}: {last[0][:200]}")
            elif not side.cases:
                self.differences.append(f"on the {where} it said nothing")
        if self.differences:
            return
        names = list(self.source.cases)
        names += [name for name in self.mount.cases if name not in names]
        for name in names:
            here = self.source.cases.get(name, ["(nothing)"])
            there = self.mount.cases.get(name, ["(nothing)"])
            if here != there:
                self.differences.append(
                    f"{name}: {', '.join(here)} on the source, "
                    f"{', '.join(there)} on the mount")
            elif all(outcome.startswith("skipped") for outcome in here):
                self.skipped += 1
                self.why_skipped[name] = here[0]
            else:
                self.passed += 1
                if any(outcome.startswith("failed") for outcome in here):
                    self.same_failures.append(f"{name}: {', '.join(here)}")

    @property
    def failures(self):
        return self.differences + self.faults

    def as_json(self):
        return {
            "workload": self.name,
            "source_seconds": self.source.seconds,
            "mount_seconds": self.mount.seconds,
            "passed": self.passed,
            "failed": len(self.failures),
            "skipped": self.skipped,
            "failures": self.failures,
            "fails_on_both": self.same_failures,
            "why_skipped": self.why_skipped,
            "server": self.statistics,
        }


def print_one(workload):
    outcome = "same"
    if workload.failures:
        outcome = f"{len(workload.failures)} DIFFER"
    elif not workload.passed:
        outcome = "skipped: " + "; ".join(workload.why_skipped.values())
    print(f"{workload.name}: {outcome}; {workload.source.seconds:.1f} s on the "
          f"source, {workload.mount.seconds:.1f} s on the mount", flush=True)
    for failure in workload.failures:
        print(f"  {failure}", flush=True)


def print_table(workloads, title):
    row = "{:<16} {:>9} {:>9} {:>7} {:>8} {:>8} {:>8}"
    print(f"\n{title}")
    print(row.format("workload", "source s", "mount s", "ratio", "passed",
                     "failed", "skipped"))
    for work in workloads:
        ratio = "-"
        if work.source.seconds >= 0.1:
            ratio = f"{work.mount.seconds / work.source.seconds:.2f}"
        print(row.format(work.name[:16], f"{work.source.seconds:.1f}",
                         f"{work.mount.seconds:.1f}", ratio, work.passed,
                         len(work.failures), work.skipped))
    for heading, lines in (
            ("Fails on the source and on the mount alike:",
             [f"{work.name}: {line}" for work in workloads
              for line in work.same_failures]),
            ("Not run:",
             [f"{work.name}: {work.why_skipped['all']}" for work in workloads
              if "all" in work.why_skipped]),
            ("Differs:",
             [f"{work.name}: {line}" for work in workloads
              for line in work.failures])):
        if lines:
            print(heading)
            for line in lines:
                print(f"  {line}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("one", "table"))
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--title", default="")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.what == "one":
        print_one(Workload(arguments.directory))
        return 0
    workloads = [Workload(arguments.directory / name)
                 for name in arguments.names]
    total = {
        "passed": sum(work.passed for work in workloads),
        "failed": sum(len(work.failures) for work in workloads),
        "skipped": sum(work.skipped for work in workloads),
    }
    print_table(workloads, arguments.title)
    if arguments.json:
        arguments.json.write_text(json.dumps({
            "title": arguments.title,
            **total,
            "workloads": [work.as_json() for work in workloads],
        }, indent=1) + "\n")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**total))
    return 0 if total["passed"] > 0 and total["failed"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
