"""Claims about answers: how methods differ, spread over seeds, override and depend on queries."""

import numpy as np

from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import (
    ITEMS,
    ITEMS_AND_SEEDS,
    SEEDS_FOR_A_SPREAD,
    Estimate,
)
from taskvectors.score.conflict import AVERAGE, outcome_estimates
from taskvectors.score.dependence import average_dependence
from taskvectors.score.dependence import dependence as measure_dependence
from taskvectors.score.evidence import Claim, Evidence, Found, NotMeasured
from taskvectors.study.metrics import CASELESS, METRICS
from taskvectors.study.predictions import method_name
from taskvectors.study.tables import UNPATCHED
from taskvectors.study.vectors import split_samples


def difference(claim: Claim, evidence: Evidence) -> list[Found]:
    """Accuracy of one method less that of the best of others, on the same items.

    The best is found anew in each draw, so that the interval holds the choice as well.
    """
    found = []
    for metric in (CASELESS, "strict") if "samples" in claim else METRICS:
        left = _accuracy(claim["left"], claim, evidence, metric)
        others = [_accuracy(name, claim, evidence, metric) for name in _takes(claim, evidence)]
        shown = left.less(max(others, key=lambda other: other.mean))
        over_items = left.over_items - np.max([other.over_items for other in others], axis=0)
        draws, kind = over_items, ITEMS
        if shown.over_both is not None:
            rest = np.max([_over_both(other) for other in others], axis=0)
            draws, kind = _over_both(left) - rest, ITEMS_AND_SEEDS
        about = (metric, shown.spread, left.items, shown.seeds, over_items)
        found.append(Found(shown.mean, draws, kind, *about))
    return found


def _over_both(estimate: Estimate) -> np.ndarray:
    """Draws of items and seeds; of items where there are no seeds to draw."""
    both = estimate.over_both
    return estimate.over_items if both is None else both


def _takes(claim: Claim, evidence: Evidence) -> list[str]:
    """The methods on the claim's right that the model can take at all."""
    images = any(method.startswith("image_icl") for method in evidence.shown.methods())
    names = [
        name
        for name in claim["right"]
        if images or not name.rpartition("/")[2].startswith("image_icl")
    ]
    if not names:
        raise NotMeasured("the model takes no image ICL")
    return names


def _accuracy(name: str, claim: Claim, evidence: Evidence, metric: str) -> Estimate:
    """A method's accuracy; a specification's vectors of the fewest samples where asked."""
    answers, method = evidence.named(name)
    if claim.get("samples") == "fewest" or claim["measure"] == "spread":
        method = _fewest(method, claim["query"], answers)
    found = answers.average(method, claim["query"], metric)
    if found is None:
        raise NotMeasured(f"{name} was not asked of every task")
    return found


def _fewest(specification: str, query: str, answers: Answers) -> str:
    if specification == "instruction":
        return method_name(specification, query, "patch")
    parts = [method.rsplit("_", 1)[0] for method in answers.methods()]
    counts = [n for name, n in map(split_samples, parts) if name == specification and n]
    if not counts:
        raise NotMeasured(f"no vectors of few samples of {specification}")
    return method_name(f"{specification}_n{min(counts)}", query, "patch")


def spread(claim: Claim, evidence: Evidence) -> list[Found]:
    """Standard deviation over seeds of one method less that of another; items and seeds are drawn
    again. Fewer than ten seeds say nothing of a spread."""
    found = []
    for metric in (CASELESS, "strict"):
        left, right = (_accuracy(claim[s], claim, evidence, metric) for s in ("left", "right"))
        seeds = min(len(left.per_seed), len(right.per_seed))
        if seeds < SEEDS_FOR_A_SPREAD:
            raise NotMeasured(f"a spread takes {SEEDS_FOR_A_SPREAD} seeds or more, not {seeds}")
        draws = _spreads(left) - _spreads(right)
        value = left.spread - right.spread
        measured = Found(value, draws, ITEMS_AND_SEEDS, metric, items=left.items, seeds=seeds)
        found.append(measured)
    return found


def _spreads(estimate: Estimate) -> np.ndarray:
    """(resamples,): the standard deviation over seeds in each draw of items and seeds."""
    weights = estimate.seed_weights
    mean = (estimate.by_seed * weights).sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(((estimate.by_seed - mean) ** 2 * weights).sum(axis=1)))


def dependence(claim: Claim, evidence: Evidence) -> list[Found]:
    """Accuracy less what the same answers would have had, had they gone to any other query."""
    found = []
    for metric in METRICS:
        parts = []
        for task in evidence.shown.tasks:
            part = evidence.shown.part(claim["left"], claim["query"], task)
            if part is None:
                raise NotMeasured(f"{claim['left']} was not asked of every task")
            entities = evidence.shown.entities[task]
            told = measure_dependence(part, entities, metric, evidence.bootstrap)
            if told is None:
                raise NotMeasured(f"{claim['left']} answers without a model")
            parts.append(told)
        whole = average_dependence(parts)
        items = sum(map(len, evidence.shown.entities.values()))
        value = whole.accuracy - whole.expected
        found.append(Found(value, whole.gains, ITEMS, metric, items=items))
    return found


def override(claim: Claim, evidence: Evidence) -> list[Found]:
    """Share of answers that are right for the patched task alone, less half of what the prompt
    gives; averaged over pairs of tasks.

    What the prompt gives is what is right for its own task where nothing is patched, or for either
    task where a vector is, whichever is more: found anew in each draw.
    """
    if evidence.conflicts is None:
        raise NotMeasured("no two tasks of this experiment ask about one entity set")
    shares = {
        (specification, metric, outcome): by_pair.get(AVERAGE)
        for (specification, _), metric, outcome, by_pair in outcome_estimates(
            evidence.conflicts, evidence.bootstrap
        )
    }

    def share(specification: str, metric: str, outcome: str) -> Estimate:
        found = shares.get((specification, metric, outcome))
        if found is None:
            raise NotMeasured(f"{specification} was not patched in every pair of tasks")
        return found

    found = []
    for metric in METRICS:
        won, lost, both = (share(claim["left"], metric, o) for o in ("patch", "prompt", "both"))
        alone = [share(UNPATCHED, metric, outcome) for outcome in ("prompt", "both")]
        given = max(sum(part.mean for part in parts) for parts in (alone, (won, lost, both)))
        if not given:
            raise NotMeasured("the prompt gives nothing that a patch could override")
        over_items, draws = (
            drawn(won) - np.maximum(sum(map(drawn, alone)), sum(map(drawn, (won, lost, both)))) / 2
            for drawn in (lambda part: part.over_items, _over_both)
        )
        about = (metric, won.spread, won.items, won.seeds, over_items)
        found.append(Found(won.mean - given / 2, draws, won.deciding[1], *about))
    return found


def none(claim: Claim, evidence: Evidence) -> list[Found]:
    """A claim that the project has no measure for."""
    raise NotMeasured(claim["why"])
