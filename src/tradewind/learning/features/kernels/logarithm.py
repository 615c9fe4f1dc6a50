"""The natural logarithm, many at a time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# fdlibm's e_log.c (Sun Microsystems 1993): log(1 + f) from s = f / (2 + f), errors below one unit in the last place.
LG = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
    1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
)  # fmt: skip
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
HALF_ROOT = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2): mantissas are taken from there to sqrt(2)
EXPONENT = -0x10000000000000  # the bits of a float that hold its sign and exponent
SMALLEST, LARGEST = 2.2250738585072014e-308, 1.7976931348623157e308


@njit(cache=True, nogil=True, error_model="numpy")
def logarithm(values: Floats, out: Floats, n: int) -> None:
    """log of the first `n` values: -inf of 0, missing of negative and missing ones.

    The library's own is one call a value; this loop has no call in it, so the compiler runs it on whole vectors.

    Args:
        values: shape (n,) or longer.
        out: gets the logarithms; not the array of the values.
        n: how many.
    """
    bits, mantissa = values.view(np.int64), out.view(np.int64)
    for i in range(n):
        mantissa[i] = bits[i] - ((bits[i] - HALF_ROOT) & EXPONENT)
    strange = 0
    for i in range(n):
        k = np.float64((bits[i] - HALF_ROOT) >> 52)
        f = out[i] - 1.0
        s = f / (2.0 + f)
        z = s * s
        w = z * z
        odd = z * (LG[0] + w * (LG[2] + w * (LG[4] + w * LG[6])))
        even = w * (LG[1] + w * (LG[3] + w * LG[5]))
        half = 0.5 * f * f
        strange += (values[i] < SMALLEST) | (values[i] > LARGEST) | (values[i] != values[i])
        out[i] = k * LN2_HIGH - ((half - (s * (half + odd + even) + k * LN2_LOW)) - f)
    if strange:
        for i in range(n):
            if not SMALLEST <= values[i] <= LARGEST:
                out[i] = np.log(values[i])
