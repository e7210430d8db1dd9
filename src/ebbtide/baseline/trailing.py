"""Trailing sums on a fixed grid: what was sent over the last hour, six hours, day, at every step.

In: samples per step with gaps. Out: sums with gaps filled, and their largest and last values per block. Sums are exact
integers inside, so a stream that starts elsewhere, or runs in pieces, gives the same numbers to the last bit; without
that a replay would not repeat what was seen live.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Float64

Floating = TypeVar("Floating", np.float32, np.float64)

#: More than a petabyte in one step is a broken counter; clipping keeps the exact sums inside 64 bits.
LARGEST_SAMPLE = 1e15


def trailing_sums(samples: Float64, width: int) -> Float64:
    """Sums over the last `width` steps, each step included, gaps filled with the window's own mean.

    `samples` is (..., steps) in the metric's unit per step, NaN where nothing is known; the result has its shape. A
    window with fewer than half of its steps known is NaN, as are windows that begin before the array for lack of
    steps. Negative and infinite samples count as unknown; samples are rounded to whole units. Zero steps are legal.
    Raises ValueError when `width` is below 1.

    >>> trailing_sums(np.array([1.0, 2.0, np.nan, 4.0, np.nan, np.nan]), 2)
    array([ 2.,  3.,  4.,  8.,  8., nan])
    """
    whole, known = _whole(samples, width)
    return _filled(_windowed(whole, width), _windowed(known.astype(np.int64), width), width)


def last_sum(samples: Float64, width: int) -> Float64:
    """The last of `trailing_sums` alone: (..., steps) -> (...), for one decision in place of a series of them.

    >>> last_sum(np.array([1.0, 2.0, np.nan, 4.0]), 2)
    array(8.)
    """
    whole, known = _whole(samples[..., -width:], width)
    return _filled(whole.sum(axis=-1), known.sum(axis=-1), width)


def _whole(samples: Float64, width: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Whole units per step, 0 where unknown, and where they are known."""
    if width < 1:
        raise ValueError(f"a window has at least one step, not {width}")
    known = np.isfinite(samples) & (samples >= 0)
    whole = np.rint(np.minimum(np.where(known, samples, 0.0), LARGEST_SAMPLE)).astype(np.int64)
    return whole, known


def _filled(total: NDArray[np.int64], covered: NDArray[np.int64], width: int) -> Float64:
    filled = total * (width / np.maximum(covered, 1))
    return np.where(2 * covered >= width, filled, np.nan)


def _windowed(values: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    running = np.cumsum(values, axis=-1)
    result = running.copy()
    result[..., width:] -= running[..., :-width]
    return result


def block_max(values: NDArray[Floating], size: int) -> NDArray[Floating]:
    """The largest known value of each block of `size` steps: (..., blocks * size) -> (..., blocks).

    A block without any known value is NaN.
    Raises ValueError when the steps are no whole number of blocks.

    >>> block_max(np.array([1.0, np.nan, np.nan, np.nan]), 2)
    array([ 1., nan])
    """
    blocks = _blocks(values, size)
    largest = np.where(np.isnan(blocks), -np.inf, blocks).max(axis=-1)
    return np.where(np.isneginf(largest), np.nan, largest).astype(values.dtype)


def block_last(values: NDArray[Floating], size: int) -> NDArray[Floating]:
    """The value at the last step of each block of `size` steps: (..., blocks * size) -> (..., blocks).

    Raises ValueError when the steps are no whole number of blocks.

    >>> block_last(np.array([1.0, 2.0, 3.0, np.nan]), 2)
    array([ 2., nan])
    """
    return _blocks(values, size)[..., -1]


def _blocks(values: NDArray[Floating], size: int) -> NDArray[Floating]:
    if values.shape[-1] % size:
        raise ValueError(f"{values.shape[-1]} steps are no whole number of blocks of {size}")
    return values.reshape(*values.shape[:-1], values.shape[-1] // size, size)
