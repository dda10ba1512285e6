"""How a task's labels begin, in the tokens that are judged: what first tokens cannot tell apart."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

#: From this share of a task's items on, what one beginning is right about is worth a word: who
#: knows no more than that is right more often than wrong.
MOST = 0.5


@dataclass(frozen=True)
class FirstTokens:
    """Of the ``labels`` of a task's items: how many ``distinct`` tokens are judged of them, of how
    many labels (``shared``) they are another's, too, and of how many (``unshown``) the first token
    shows no text. The commonest are those of ``alike`` labels, of a ``share`` of the items."""

    labels: int
    distinct: int
    shared: int
    unshown: int
    alike: int
    share: float

    def caveats(self) -> list[str]:
        """What the metrics cannot say about such labels, a clause each; mostly nothing."""
        found = []
        if tells_little(self.alike, self.share):
            found.append(alike_clause(self.labels, self.alike, self.share))
        if self.unshown:
            found.append(
                f"{self.unshown} of {self.labels} labels have a first token that shows no text, so "
                "that the first tokens up to the first that does are judged"
            )
        return found


def count_first_tokens(labels: Sequence[str], judged: Sequence[Sequence[Hashable]]) -> FirstTokens:
    """Count how the labels of a task's items begin; ``judged`` are the judged tokens of each."""
    beginnings = [tuple(ids) for ids in judged]
    named: dict[tuple[Hashable, ...], set[str]] = {}
    for label, ids in zip(labels, beginnings, strict=True):
        named.setdefault(ids, set()).add(label)
    ids, items = Counter(beginnings).most_common(1)[0]
    return FirstTokens(
        labels=len(set(labels)),
        distinct=len(named),
        shared=sum(len(some) for some in named.values() if len(some) > 1),
        unshown=sum(len(some) for ids, some in named.items() if len(ids) > 1),
        alike=len(named[ids]),
        share=items / len(labels),
    )


def tells_little(alike: int, share: float) -> bool:
    """Whether most items have labels, different ones, of which the same is judged."""
    return alike > 1 and share >= MOST


def alike_clause(labels: int, alike: int, share: float) -> str:
    """What follows from that, in words."""
    many = f"all {labels}" if alike == labels else f"{alike} of {labels}"
    told = "nothing" if alike == labels else "little"
    return (
        f"{many} labels begin with the same token, which is right for {share:.0%} of the items "
        f"whatever is asked, so that strict and paper say {told} about them"
    )
