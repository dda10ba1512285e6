"""The bootstrap: draws by name, and estimates that share them.

Draws belong to the items that are drawn, not to a method or a table: whoever is measured on the
same items gets the same draws. So methods are paired, tasks that ask about the same entities are
drawn together (an image that is misnamed is wrong in both), and a method that is added changes
no digit of another.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from taskvectors.base.errors import UserError

# What an interval's ends were found by drawing again.
ITEMS, ITEMS_AND_SEEDS = "items", "items and seeds"
TASKS, EXEMPLAR_SETS, NONE = "tasks", "exemplar sets", "none"
# The least to greatest of some seeds: no interval of any level, and it decides nothing.
RANGE_OF_SEEDS = "range of seeds"
SEEDS_FOR_AN_INTERVAL = 5  # below, seeds are not drawn again
SEEDS_FOR_A_SPREAD = 10  # below, the spread of two methods is not compared


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and the names alone."""
    digest = hashlib.sha256(repr((seed, names)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


@lru_cache(maxsize=16)
def _weights(resamples: int, seed: int, drawn: tuple[str, ...]) -> np.ndarray:
    count = len(drawn)
    if count < 2:
        return np.full((resamples, count), np.nan)
    rng = named_generator(seed, "weights", *drawn)
    return rng.multinomial(count - 1, np.full(count, 1 / count), size=resamples) / (count - 1)


@lru_cache(maxsize=16)
def _shuffles(resamples: int, seed: int, items: tuple[str, ...]) -> np.ndarray:
    rng = named_generator(seed, "shuffles", *items)
    return rng.permuted(np.tile(np.arange(len(items)), (resamples, 1)), axis=1)


@dataclass(frozen=True)
class Bootstrap:
    """How often to draw, and the seed of all draws."""

    resamples: int
    seed: int

    def weights(self, drawn: Sequence[str]) -> np.ndarray:
        """(resamples, drawn): how often each was drawn, as a share of its row.

        Of n, n - 1 are drawn with replacement, which gives a mean's variance without bias (Rao
        and Wu, 1988); drawing all n would be too narrow by a share of 1/n. One alone cannot be
        drawn again: its weights are missing, and so is every interval that stands on them.
        """
        return _weights(self.resamples, self.seed, tuple(drawn))

    def shuffles(self, items: Sequence[str]) -> np.ndarray:
        """(resamples, items): the items' indices in another order each."""
        return _shuffles(self.resamples, self.seed, tuple(items))


def interval(resampled: np.ndarray) -> tuple[float, float]:
    """The ends of the 95 % interval of a quantity's resampled values; missing if they are."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def p_value(resampled: np.ndarray, line: float) -> float:
    """The two-sided p-value of a quantity being at the line: below 0.05 where the 95 % interval
    leaves the line out. Never zero: the data themselves count as one draw."""
    if np.isnan(resampled).any():
        return float("nan")
    beyond = min(np.count_nonzero(resampled <= line), np.count_nonzero(resampled >= line))
    return min(1.0, 2 * (1 + beyond) / (1 + len(resampled)))


@dataclass(frozen=True)
class Estimate:
    """A mean over items, or what is made of such means: a difference, an average over tasks.

    ``per_seed`` is (seeds,), or one value where there are no seeds; ``by_seed`` (resamples,
    seeds) the same for items that are drawn again. ``seed_weights`` (resamples, seeds) draws the
    seeds again, too, and is None where there are fewer than five.
    """

    per_seed: np.ndarray
    by_seed: np.ndarray
    seed_weights: np.ndarray | None
    items: int
    seeds: int

    @property
    def mean(self) -> float:
        return float(self.per_seed.mean())

    @property
    def spread(self) -> float:
        """The standard deviation over seeds; missing where they cannot be told apart."""
        return float(self.per_seed.std()) if len(self.per_seed) > 1 else float("nan")

    @property
    def over_items(self) -> np.ndarray:
        """(resamples,): the mean over seeds, for items that are drawn again."""
        return np.asarray(self.by_seed.mean(axis=1))

    @property
    def over_both(self) -> np.ndarray | None:
        """(resamples,): the mean for items and seeds that are drawn again, each by themselves,
        since every item is asked under every seed; None below five seeds."""
        if self.seed_weights is None:
            return None
        return np.asarray((self.by_seed * self.seed_weights).sum(axis=1))

    @property
    def deciding(self) -> tuple[np.ndarray, str]:
        """The draws that say the most that can be said, and what was drawn."""
        both = self.over_both
        return (self.over_items, ITEMS) if both is None else (both, ITEMS_AND_SEEDS)

    def intervals(self) -> dict[str, float | str]:
        """The 95 % interval, what its kind is, and the one over items alone beside it."""
        draws, kind = self.deciding
        low, high = interval(draws)
        items_low, items_high = interval(self.over_items)
        beside = {"items_low": items_low, "items_high": items_high}
        return {"low": low, "high": high, "interval": kind, **beside}

    def less(self, other: "Estimate") -> "Estimate":
        """The difference of two estimates on the same items, draw by draw and seed by seed."""
        weights = other.seed_weights if self.seed_weights is None else self.seed_weights
        counts = sorted((len(self.per_seed), len(other.per_seed)))
        if 1 < counts[0] < counts[1]:
            raise UserError(
                f"one of two methods has answers under {counts[0]} seeds, the other under "
                f"{counts[1]}; delete the predictions with fewer and run again."
            )
        return Estimate(
            self.per_seed - other.per_seed,
            self.by_seed - other.by_seed,
            weights,
            max(self.items, other.items),
            max(self.seeds, other.seeds),
        )


def estimate(values: pd.DataFrame, bootstrap: Bootstrap) -> Estimate:
    """The estimate of the mean of ``values``: a row per seed (a missing one where there are no
    seeds), a column per item.

    Where each item was asked under one seed only (dealt out in turn), seeds cannot be told from
    items, and there is no spread over seeds.
    """
    items = tuple(map(str, values.columns))
    seeds = tuple(str(seed) for seed in values.index if not pd.isna(seed))
    table = values.to_numpy(dtype=float)
    weights = None
    if np.isnan(table).any():
        table = np.nanmean(table, axis=0, keepdims=True)
    elif len(seeds) >= SEEDS_FOR_AN_INTERVAL:
        weights = bootstrap.weights(seeds)
    by_seed = bootstrap.weights(items) @ table.T
    return Estimate(table.mean(axis=1), by_seed, weights, len(items), len(seeds))


def average(parts: Sequence[Estimate]) -> Estimate:
    """The average of several estimates, whose items were drawn side by side."""
    weights = [part.seed_weights for part in parts]
    return Estimate(
        np.mean([part.per_seed for part in parts], axis=0),
        np.mean([part.by_seed for part in parts], axis=0),
        weights[0],
        sum(part.items for part in parts),
        parts[0].seeds,
    )
