"""Keep freed memory in the process instead of returning it to the system and asking for it again at every step."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h
_LARGEST = 2**31 - 1  # an int


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep and reuse freed blocks of any size; return whether there is such an allocator.

    By default it maps a large block anew each time, and the system fills each page with zeros at its first touch: the
    gradient of a vocabulary's embedding then costs several times what computing it does. The process keeps its highest
    amount of memory. Elsewhere nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_M_MMAP_THRESHOLD, _LARGEST) and library.mallopt(_M_TRIM_THRESHOLD, _LARGEST))
