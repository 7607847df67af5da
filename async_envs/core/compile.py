"""Where every compiler option of our kernels lives."""

from numba import njit

kernel = njit(nogil=True)
