"""Random streams and exact shares.

One stream per (name, chunk), so that no draw of one thing shifts another's.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def stream(seed: int, name: str, chunk: int = 0) -> np.random.Generator:
    """The generator of one stream; the same three values always give the same draws."""
    key = (zlib.crc32(name.encode()), chunk)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def apportion(total: int, weights: Sequence[float] | npt.NDArray[Any]) -> list[int]:
    """Whole numbers in the proportion of the weights that add up to the total exactly."""
    exact = total * np.asarray(weights, dtype=float) / np.sum(weights)
    shares = np.floor(exact).astype(np.int64)
    largest_first = np.argsort(shares - exact, kind="stable")
    shares[largest_first[: total - int(shares.sum())]] += 1
    return [int(share) for share in shares]
