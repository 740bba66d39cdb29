"""Calibration: probabilities that mean what they say. Fitted on validation, judged on test; numpy only, no files.

A calibration is a mapping as it stands in calibration.json, one of

- `{"method": "temperature", "temperature": T}`: softmax(logits / T), Guo et al. 2017;
- `{"method": "vector", "weights": [...], "bias": [...]}`: softmax(weights * logits + bias), one of each per class;
- `{"method": "isotonic", "knots": [{"x": [...], "y": [...]} per class]}`: the softmax probability of each class through
  a piecewise linear curve (constant outside its knots, x strictly increasing, y > 0), then divided by the row's sum.

Logits are float arrays [rows, classes], labels are class indices [rows], probabilities are float64 [rows, classes].
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def softmax(logits: ArrayLike) -> Floats:
    """Row-wise softmax that does not overflow."""
    z = np.asarray(logits, dtype=np.float64)
    exponent = np.exp(z - z.max(axis=1, keepdims=True))
    total: Floats = exponent / exponent.sum(axis=1, keepdims=True)
    return total


def apply(calibration: Mapping[str, Any], logits: ArrayLike) -> Floats:
    """Calibrated probabilities [rows, classes] of logits [rows, classes]. Raises ValueError on an unknown method."""
    z = np.asarray(logits, dtype=np.float64)
    match calibration["method"]:
        case "temperature":
            return softmax(z / calibration["temperature"])
        case "vector":
            return softmax(z * np.asarray(calibration["weights"]) + np.asarray(calibration["bias"]))
        case "isotonic":
            columns = zip(softmax(z).T, calibration["knots"], strict=True)
            curves = np.column_stack([np.interp(p, knots["x"], knots["y"]) for p, knots in columns])
            total: Floats = curves / curves.sum(axis=1, keepdims=True)
            return total
        case method:
            raise ValueError(f"calibration method {method!r} is unknown; known are temperature, vector and isotonic")
