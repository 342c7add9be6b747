# shellcheck shell=bash
# What the workloads share.
#
# A workload is a script that is called with an empty
# directory as its one argument, works there, and prints its verdict, one line
# for each thing that it has tried:
#   NAME: WHAT CAME OUT
# The lines must be the same wherever the directory is and whenever it runs: no
# times, no process numbers, no sizes that the filesystem chooses. "skipped: WHY"
# is for what could not be tried. What explains a verdict goes to stderr.
#
# Exit status: 0, also where something failed that has its line; 77 where the
# program is missing, with the reason on stdout; anything else is a workload that
# broke off.
set -euo pipefail
cd "$1"

# Nothing of the user's settings; the same order everywhere.
export LC_ALL=C TZ=UTC0 HOME=$PWD
umask 022

skip() {  # WHY
  echo "$1"
  exit 77
}

needs() {  # PROGRAM ...
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || skip "$program is not installed"
  done
}

say() {  # NAME VALUE
  printf '%s: %s\n' "$1" "$2"
}

# Runs a command that is to succeed, with `set -e` if it is a function.
check() {  # NAME COMMAND ...
  local name=$1 status
  shift
  echo "-- $name" >&2
  # In a condition set -e would have no effect inside of the function.
  set +e
  (
    set -e
    "$@"
  ) >&2
  status=$?
  set -e
  if [[ $status -eq 0 ]]; then say "$name" ok; else say "$name" "failed ($status)"; fi
}

# Waits for a condition, for half a minute.
await() {  # COMMAND ...
  local end=$((SECONDS + 30))
  until "$@"; do
    if [[ $SECONDS -ge $end ]]; then
      echo "in vain: $*" >&2
      return 1
    fi
    sleep 0.02
  done
}

same() {  # VALUE VALUE
  [[ $1 == "$2" ]] || {
    printf 'not the same:\n%s\n%s\n' "$1" "$2" >&2
    return 1
  }
}

# The names and the content of all files below a directory, as one number.
content_of() {  # DIRECTORY
  (cd "$1" && find . -type f -print0 | sort -z | xargs -0r sha256sum |
    sha256sum | cut -c1-16)
}

# Bytes that are the same each time, and not all alike.
bytes() {  # SEED COUNT
  awk -v seed="$1" 'BEGIN {
    srand(seed)
    for (;;) printf "%09d%09d%09d\n", rand()*1e9, rand()*1e9, rand()*1e9
  }' 2>/dev/null | head -c "$2" || true
}

# A tree of text files: DIRECTORIES directories with FILES files each.
text_tree() {  # ROOT DIRECTORIES FILES
  mkdir -p "$1"
  awk -v root="$1" -v directories="$2" -v files="$3" 'BEGIN {
    srand(1)
    for (d = 0; d < directories; d++) {
      directory = root "/" (d % 7) "/" d
      system("mkdir -p " directory)
      for (f = 0; f < files; f++) {
        name = directory "/file" f ".txt"
        lines = 1 + int(rand() * 40)
        for (l = 0; l < lines; l++) print d, f, l, rand() > name
        close(name)
      }
    }
  }'
}

# A small tree with one of everything that tar(1) and rsync(1) know to copy.
odd_tree() {  # ROOT
  mkdir -p "$1/plain/deep/deeper" "$1/empty" "$1/shared"
  bytes 1 200000 >"$1/plain/data"
  bytes 2 10 >"$1/plain/deep/deeper/small"
  : >"$1/plain/nothing"
  ln "$1/plain/data" "$1/plain/deep/hard link"
  ln "$1/plain/data" "$1/third name"
  ln -s data "$1/plain/link"
  ln -s /does/not/exist "$1/dangling"
  ln -s "$(printf 'x%.0s' {1..900})" "$1/long link"
  mkfifo "$1/fifo"
  mknod "$1/null" c 1 3
  # Holes before, between and after the data.
  truncate -s 64M "$1/sparse"
  bytes 3 5000 | dd of="$1/sparse" bs=5000 seek=2000 conv=notrunc status=none
  bytes 4 5000 | dd of="$1/sparse" bs=5000 seek=9000 conv=notrunc status=none
  : >"$1/"$'new\nline \303\244 * "quoted"'
  bytes 5 100 >"$1/$(printf 'n%.0s' {1..255})"
  chmod 0 "$1/plain/nothing"
  chmod 4755 "$1/plain/deep/deeper/small"
  chmod 3777 "$1/shared"
  chown 1234:2345 "$1/plain/deep"
  chown -h 5:6 "$1/dangling"
  setfattr -n user.text -v "a value" "$1/plain/data"
  setfattr -n user.bytes -v 0x000102ff "$1/plain"
  setfattr -n user.empty "$1/empty"
  setfattr -n trusted.only_root -v 1 "$1/plain/data"
  setfacl -m u:1234:rwx,g:2345:r-x,m::r-x "$1/plain/data"
  setfacl -d -m u:1234:rwx "$1/shared"
  setfacl -m u:77:r "$1/empty"
  touch -h -d '2001-02-03 04:05:06.789012345' "$1/dangling" "$1/fifo"
  touch -d '1999-12-31 23:59:59.999999999' "$1/plain/data"
  touch -d '1960-01-01 00:00:00.5' "$1/plain/nothing"
  touch -d '2033-05-18 03:33:20' "$1/plain/deep" "$1/empty"
}

# All that stat(2) says of a tree and does not differ from copy to copy, and
# its attributes and ACLs.
attributes_of() {  # DIRECTORY
  (
    cd "$1"
    find . -printf '%p|%y|%m|%U|%G|%n|%l|%T@\n' | sort
    find . -type f -printf '%p|%s\n' | sort
    find . ! -type l -print0 | sort -z |
      xargs -0 getfattr -h -d -m '^(user|trusted|security)\.' --
    find . ! -type l -print0 | sort -z | xargs -0 getfacl -n --
  )
}
