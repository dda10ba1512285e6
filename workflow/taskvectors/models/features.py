"""Images as the decoder takes them: their features, what is kept of them, and a batch of both."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor
from transformers import BatchFeature

from taskvectors.base.errors import UserError

# On the device. A task's 130 images are 0.6 GB in LLaVA; 16 bits a weight are 14 GB and more.
FEATURE_BYTES = 2 * 2**30
# On the host. The same images are 0.2 GB as pixels, and a job asks for 2.5 GB beside its weights.
PIXEL_BYTES = 2**29

# What a processor or a vision tower raises of an image of a size that nobody thought of, and any
# model that is called in a way it does not know.
FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RuntimeError, TypeError, ValueError),
)

Value = TypeVar("Value")


@contextmanager
def image_named(model: str, image: str) -> Iterator[None]:
    """Raise `UserError` naming the image that one of `FAILURES` within is about; where memory runs
    out, or the device fails, it is about no image."""
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except FAILURES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"the model {model} does not take the image {image} ({reason}); crop or enlarge it, or "
            "choose another."
        ) from error


@dataclass(frozen=True)
class ImageFeatures:
    """Of one image, on the device: ``features`` (placeholders, width) in the decoder's input
    space, and ``beside`` them what else a family's decoder needs of an image.
    """

    features: Tensor
    beside: Tensor = field(default_factory=lambda: torch.empty(0))

    def __len__(self) -> int:
        """How many placeholders it has."""
        return len(self.features)


@dataclass(frozen=True)
class Embedded:
    """A batch at the decoder's door: input embeddings ``hidden`` (rows, tokens, width), with the
    features of ``images``, those of all rows in order, at ``places`` (rows, tokens; bool).
    """

    hidden: Tensor
    places: Tensor
    images: tuple[ImageFeatures, ...] = ()


def feature_bytes(image: ImageFeatures) -> int:
    return image.features.nbytes + image.beside.nbytes


def pixel_bytes(inputs: BatchFeature) -> int:
    return sum(value.nbytes for value in inputs.values() if isinstance(value, Tensor))


class Recent(Generic[Value]):
    """Values by name, up to ``budget`` bytes of them; the least recently used ones are dropped."""

    def __init__(self, budget: int, size: Callable[[Value], int]):
        self.budget, self.size = budget, size
        self._used = 0
        self._values: OrderedDict[str, Value] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, name: str) -> Value:
        self._values.move_to_end(name)
        return self._values[name]

    def __setitem__(self, name: str, value: Value) -> None:
        self.pop(name)
        self._values[name] = value
        self._used += self.size(value)
        while self._used > self.budget:
            self.pop(next(iter(self._values)))

    def pop(self, name: str) -> Value | None:
        """Take a value out, if it is there."""
        value = self._values.pop(name, None)
        if value is not None:
            self._used -= self.size(value)
        return value

    def fill(self, names: Iterable[str], make: Callable[[list[str]], Iterable[Value]]) -> None:
        """Have the values of ``names``, or the last of them that fit; ``make`` makes, one after
        the other, those that are not there."""
        for name, value in self._made(names, make):
            self[name] = value

    def all_of(
        self, names: Sequence[str], make: Callable[[list[str]], Iterable[Value]]
    ) -> list[Value]:
        """The values of ``names`` in order, however many fit; otherwise as `fill`."""
        found = {name: self[name] for name in names if name in self}
        for name, value in self._made(names, make):
            self[name] = found[name] = value
        return [found[name] for name in names]

    def _made(
        self, names: Iterable[str], make: Callable[[list[str]], Iterable[Value]]
    ) -> Iterable[tuple[str, Value]]:
        missing = [name for name in dict.fromkeys(names) if name not in self]
        return zip(missing, make(missing), strict=True) if missing else ()
