"""An instruction alone, whose vector is read, and before a query, which is prompting."""

from pathlib import Path

from torch import Tensor

from taskvectors.engine.forward import run
from taskvectors.engine.trees import whole
from taskvectors.jobs.arguments import fit_template
from taskvectors.jobs.queries import asked
from taskvectors.models.base import Adapter
from taskvectors.models.turns import own_template
from taskvectors.study.datasets import Item
from taskvectors.study.prompts import QUERY, Prompt, Template, Text, instruction


def read_instruction(adapter: Adapter, text: str) -> Tensor:
    """The residual stream (1, layers, width) at the last token of the bare instruction."""
    encoded = adapter.encode(instruction(text))
    read, _ = run(adapter, [whole(encoded)], [(0, encoded.marks[QUERY.name])])
    return read


def own_or_spaced(adapter: Adapter, templates: Path) -> Template:
    """The model's own chat template where it has one, for what is no experiment; else `spaced`."""
    own = own_template(adapter.processor, adapter.tokenizer)
    return fit_template(templates, "chat" if own else "spaced", adapter)


def instructed(text: str, template: Template, item: Item, modality: str) -> Prompt:
    """The instruction, then the query: the paper's instruction xbase."""
    return (Text(text + template.end), *template.query(asked(item, modality)))
