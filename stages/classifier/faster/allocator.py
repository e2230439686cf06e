"""Keep freed memory in the process instead of returning it to the system and requesting it again at every step."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h
_LARGEST = 2**31 - 1  # an int


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep and reuse freed blocks of any size; return whether it did.

    By default it maps a large block anew each time, and the system fills each page with zeros at its first touch: for the
    gradient of a vocabulary's embedding that costs several times the computation. The process stays at its peak memory. With
    another C library nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_M_MMAP_THRESHOLD, _LARGEST) and library.mallopt(_M_TRIM_THRESHOLD, _LARGEST))


def return_freed_memory() -> bool:
    """Return to the system what the allocator holds of freed blocks; return whether it could, which only glibc's can."""
    return platform.libc_ver()[0] == "glibc" and bool(ctypes.CDLL(None).malloc_trim(0))
