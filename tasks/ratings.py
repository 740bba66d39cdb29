"""Single ratings per row, as sums that everything else follows from: mean, spread, agreement, Krippendorff's alpha."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ratings:
    """Per-row sums of ratings; every array has one entry per row. Missing ratings count as none."""

    count: "NDArray[np.int64]"
    total: "NDArray[np.float64]"
    squares: "NDArray[np.float64]"
    low: "NDArray[np.float64]"  # NaN where there is no rating
    high: "NDArray[np.float64]"

    @classmethod
    def of(cls, column: "pa.ChunkedArray") -> "Ratings":
        """Sums of a list column of numbers (`ratings` of tasks.rows.RAW); null lists and null ratings are left out."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        column = column.combine_chunks()
        rows = len(column)
        parents = pc.list_parent_indices(column).to_numpy()
        values = pc.list_flatten(column).cast(pa.float64()).to_numpy(zero_copy_only=False)
        rated = np.isfinite(values)
        parents, values = parents[rated], values[rated]
        count = np.bincount(parents, minlength=rows)
        low, high = np.full(rows, np.nan), np.full(rows, np.nan)
        if len(values):
            starts = np.flatnonzero(np.r_[True, parents[1:] != parents[:-1]])
            low[count > 0] = np.minimum.reduceat(values, starts)
            high[count > 0] = np.maximum.reduceat(values, starts)
        return cls(
            count=count,
            total=np.bincount(parents, values, minlength=rows).astype(float),
            squares=np.bincount(parents, values**2, minlength=rows).astype(float),
            low=low,
            high=high,
        )

    @cached_property
    def mean(self) -> "NDArray[np.float64]":
        """Arithmetic mean; NaN where there is no rating."""
        import numpy as np

        return self.total / np.where(self.count > 0, self.count, np.nan)

    @cached_property
    def variance(self) -> "NDArray[np.float64]":
        """Sample variance (n - 1 below the line); NaN below two ratings."""
        import numpy as np

        n = np.where(self.count > 1, self.count, np.nan)
        result: NDArray[np.float64] = np.maximum(self.squares - self.total**2 / n, 0) / (n - 1)
        return result

    def agreement(self, low: float, high: float) -> "NDArray[np.float64]":
        """Within-group agreement r_wg (James, Demaree & Wolf 1984), cut at 0: 1 - s² / s²_random.

        s²_random = ((high - low + 1)² - 1) / 12 is the variance of ratings drawn at random from the whole numbers of
        the scale. 1: all raters say the same; 0: no closer than chance; NaN below two ratings.
        """
        import numpy as np

        return np.clip(1 - self.variance / (((high - low + 1) ** 2 - 1) / 12), 0, 1)

    def confidence(self, neutral: float) -> "NDArray[np.float64]":
        """Probability that the true mean lies on the same side of `neutral` as the mean seen; NaN below two ratings.

        The true mean follows a t distribution with n - 1 degrees of freedom around the mean seen, scaled by s / √n (the
        posterior under the Jeffreys prior). Where all ratings are equal it is 1, or 0.5 at `neutral` itself.
        """
        import numpy as np
        from scipy.stats import t

        freedom = np.where(self.count > 1, self.count - 1, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.abs(self.mean - neutral) / np.sqrt(self.variance / self.count)
        distance = np.where((self.variance == 0) & (self.mean == neutral), 0, distance)
        result: NDArray[np.float64] = t.cdf(distance, freedom)
        return result

    def alpha(self, samples: int, seed: int) -> dict[str, Any] | None:
        """Krippendorff's alpha for interval data with a 95 % percentile bootstrap interval over rows.

        alpha = 1 - D_o / D_e (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). For interval data both
        follow from sums: over the ordered pairs of n values, Σ(x - y)² = 2 (n Σx² - (Σx)²). Rows below two ratings hold
        no pair and are left out. None where nothing varies, or no row has two ratings.
        """
        import numpy as np

        from tasks.resampled import interval

        kept = self.count > 1
        n, total, squares = self.count[kept], self.total[kept], self.squares[kept]
        within = 2 * (n * squares - total**2) / np.maximum(n - 1, 1)
        found = interval(np.column_stack([n, total, squares, within]), _alpha, samples, seed)
        return found and found | {"ratings": int(n.sum()), "metric": "interval"}


def _alpha(sums: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Alpha of `[..., 4]` sums over rows: ratings, their total, their squares, disagreement within rows."""
    import numpy as np

    n, total, squares, within = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: NDArray[np.float64] = 1 - (within / n) / (2 * (n * squares - total**2) / (n * (n - 1)))
    return result
