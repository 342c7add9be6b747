"""Shows barefuse at work: a tree copied, compared, read and mapped through a
passthrough mount, and who moved the bytes.

Run by tools/run, which builds the program and names it in $BAREFUSE. $DEMO_TREE
is the tree to copy.
"""

import hashlib
import json
import mmap
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

LARGE_FILE = 256 << 20  # bytes


def fail(message):
    sys.exit(f"tools/run: {message}")


def step(text):
    """Prints what is being done; the result goes on the same line."""
    print(f"  {text:<52}", end="", flush=True)
    return time.monotonic()


def done(start, text=""):
    print(f"{text:>12}  {time.monotonic() - start:6.2f} s")


def size_of(tree):
    """Bytes and number of the regular files below `tree`."""
    sizes = [path.lstat().st_size for path in tree.rglob("*")
             if path.is_file() and not path.is_symlink()]
    return sum(sizes), len(sizes)


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def write_large(path):
    """Writes LARGE_FILE bytes and returns their digest."""
    digest = hashlib.sha256()
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for number in range(LARGE_FILE >> 20):
            block = number.to_bytes(4, "little") + block[4:]
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def read_large(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def map_large(path):
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapping:
            return hashlib.sha256(mapping).hexdigest()


def work(tree, source, mountpoint):
    """Uses the mount. Returns how many bytes programs have moved through it,
    mapped ones included."""
    tree_bytes, files = size_of(tree)
    start = step(f"cp -a {tree} into the mount ({files} files)")
    subprocess.run(["cp", "-a", tree, mountpoint / "tree"], check=True)
    done(start, megabytes(tree_bytes))

    start = step("diff -r through the mount")
    subprocess.run(["diff", "-r", "--no-dereference", tree,
                    mountpoint / "tree"], check=True)
    done(start, "equal")

    start = step("diff -r in the source directory")
    subprocess.run(["diff", "-r", "--no-dereference", tree, source / "tree"],
                   check=True)
    done(start, "equal")

    start = step("write a large file")
    written = write_large(mountpoint / "large")
    done(start, megabytes(LARGE_FILE))
    for name, read in (("read it", read_large), ("map it", map_large)):
        start = step(name)
        if read(mountpoint / "large") != written:
            fail(f"{name}: the content differs")
        done(start, "equal")
    # cp wrote the tree, diff read it; the large file once each way and mapped.
    return 2 * tree_bytes + 3 * LARGE_FILE


def report(counted, moved):
    operations = counted["operations"]
    print("\nRequests that reached the server")
    for name, row in sorted(operations.items(),
                            key=lambda item: -item[1]["requests"]):
        errors = f"{row['errors']} with an errno" if row["errors"] else ""
        print(f"  {name:<16}{row['requests']:>9}  {errors}")
    served = counted["read_bytes"] + counted["written_bytes"]
    print("\nFile data")
    print(f"  {'through the server':<24}{megabytes(served):>12}")
    print(f"  {'past it (passthrough)':<24}{megabytes(moved - served):>12}")
    print(f"  {'backing files opened':<24}{counted['backing_opens']:>12}")
    print(f"  {'and closed':<24}{counted['backing_closes']:>12}")


def demonstrate(program, tree, directory):
    source = directory / "source"
    mountpoint = directory / "mnt"
    statistics = directory / "statistics.json"
    source.mkdir()
    mountpoint.mkdir()
    command = [program, "passthrough", "-f", "--stats", statistics, source,
               mountpoint]
    print("$ barefuse passthrough source mnt")
    server = subprocess.Popen(command)
    try:
        while not mountpoint.is_mount():
            if server.poll() is not None:
                fail(f"the server ended with status {server.returncode}")
            time.sleep(0.01)
        moved = work(tree, source, mountpoint)
        start = step("umount")
        subprocess.run(["umount", mountpoint], check=True)
        status = server.wait(timeout=10)
        done(start, "clean" if status == 0 else f"status {status}")
    finally:
        if server.poll() is None:
            server.terminate()  # unmounts
            server.wait()
    if mountpoint.is_mount():
        fail("something is still mounted")
    report(json.loads(statistics.read_text()), moved)
    return status


def main():
    if os.geteuid() != 0:
        fail("the demonstration mounts, which needs root")
    tree = pathlib.Path(os.environ.get("DEMO_TREE", "/usr/include"))
    if not tree.is_dir():
        fail(f"{tree} is no directory; name another in DEMO_TREE")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="barefuse-demo-"))
    try:
        return demonstrate(os.environ["BAREFUSE"], tree, directory)
    except subprocess.CalledProcessError as error:
        fail(f"{error.cmd[0]} ended with status {error.returncode}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
