"""The language and the rules of the tree, in one place.

They are options of the targets, not of .bazelrc, so that they hold too when
barefuse is built as part of somebody else's workspace.
"""

_COPTS = ["-std=c++20"]

# The library reports by value and never throws; it is built so that it can be
# linked into programs that have exceptions turned off.
_LIBRARY_COPTS = _COPTS + ["-fno-exceptions"]

def barefuse_cc_library(name, copts = [], **kwargs):
    native.cc_library(name = name, copts = _LIBRARY_COPTS + copts, **kwargs)

def barefuse_cc_binary(name, copts = [], **kwargs):
    native.cc_binary(name = name, copts = _LIBRARY_COPTS + copts, **kwargs)

def barefuse_cc_test(name, copts = [], size = "small", **kwargs):
    # Linked as programs are: the archives of third_party/ must not end up in
    # several shared objects of one test.
    native.cc_test(
        name = name,
        copts = _COPTS + copts,
        linkstatic = True,
        size = size,
        **kwargs
    )

def barefuse_kernel_test(name, tags = [], size = "medium", **kwargs):
    """A test that mounts: it runs as root, outside the sandbox, one at a time.

    One at a time because such tests compare timings of wake-ups and count what
    is left over (mounts, threads, file descriptors) afterwards.
    """
    barefuse_cc_test(
        name = name,
        size = size,
        tags = tags + [
            "local",
            "exclusive",
            "no-cache",
            "mounts",
        ],
        **kwargs
    )
