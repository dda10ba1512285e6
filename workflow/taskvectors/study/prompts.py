"""Prompts as segments of text and images, with the delimiters marked where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.schemas import check, read_yaml
from taskvectors.base.strict_json import encodable


@dataclass(frozen=True)
class Text:
    """A piece of text. Raises `UserError` where it has half of a character, a lone surrogate, which
    no tokenizer takes and no file."""

    text: str

    def __post_init__(self) -> None:
        if not encodable(self.text):
            raise UserError(f"the text {self.text!r} has half of a character; write it whole.")


@dataclass(frozen=True)
class ImageInput:
    """An image, by its path. A loaded model knows it by that, so what lies there must not change,
    as a job's inputs do not; `taskvectors.base.images.kept` makes such a path of any image."""

    path: str


@dataclass(frozen=True)
class Mark:
    """A named place in a prompt: the end of the token before it, e.g. a delimiter's colon."""

    name: str


Segment = Text | ImageInput | Mark
Prompt = tuple[Segment, ...]

# The delimiter of the last exemplar, where a task vector is read; the end of the exemplars,
# where queries branch off; the delimiter of the query, where a vector is patched.
EXEMPLAR, EXEMPLARS_END, QUERY = Mark("exemplar"), Mark("exemplars_end"), Mark("query")


@dataclass(frozen=True)
class Template:
    """How inputs and outputs are laid out: ``question`` x ``answer`` y ``end``, repeated.

    ``space`` stands before every text value (input or output), never before an image. ``system`` is
    what a chat template puts around its system turn; without one that text stands in front.
    ``image`` is what a chat template puts before and behind an image; without it that is the same
    as around words. A chat template may have no place for images: not ``takes_images``.
    The paper's generic template (section 3) has no space; ``answer`` ends in the delimiter.
    """

    name: str
    question: str
    answer: str
    end: str
    space: str
    system: tuple[str, str] | None = None
    image: tuple[str, str] | None = None
    takes_images: bool = True

    def value(self, value: str) -> Text:
        """A text input or an output as it stands in the prompt."""
        return Text(self.space + value)

    def _asked(self, asked: Text | ImageInput) -> Prompt:
        if isinstance(asked, Text):
            return (Text(self.question), self.value(asked.text), Text(self.answer))
        if not self.takes_images:
            raise UserError(
                f"the template {self.name} has no place for the image {asked.path}, since the "
                "model's own chat template shows no images, or not all of them alike; choose "
                "another of resources/templates.yaml."
            )
        before, after = self.image or (self.question, self.answer)
        return (Text(before), asked, Text(after))

    def query(self, asked: Text | ImageInput) -> Prompt:
        """The query alone, ending at its delimiter: the no_context prompt."""
        return (*self._asked(asked), QUERY)

    def system_prompt(self, text: str) -> Text:
        """What is said before anything is asked."""
        before, after = self.system or ("", self.end)
        return Text(before + text + after)

    def exemplars(self, pairs: Sequence[tuple[Text | ImageInput, str]]) -> Prompt:
        """Input-output pairs, with the last one's delimiter and the end marked."""
        segments: list[Segment] = []
        for number, (asked, output) in enumerate(pairs, start=1):
            segments += self._asked(asked)
            if number == len(pairs):
                segments.append(EXEMPLAR)
            segments += [self.value(output), Text(self.end)]
        return (*segments, EXEMPLARS_END)


@dataclass(frozen=True)
class ChatTemplate:
    """A layout whose ``question`` and ``answer`` are the model's own, from its chat template.

    ``end`` and ``space`` are as in `Template`; `taskvectors.models.chat.fitted` fills in the rest.
    """

    name: str
    end: str
    space: str


def instruction(text: str) -> Prompt:
    """The bare instruction; its vector is read at its last token (protocol of the paper)."""
    return (Text(text), QUERY)


def read_templates(path: Path) -> dict[str, Template | ChatTemplate]:
    """``resources/templates.yaml`` by name. Raises `UserError` where it is not valid."""
    raw = read_yaml(path)
    check(raw, "templates", str(path))
    return {
        name: Template(name=name, **fields)
        if "question" in fields
        else ChatTemplate(name, fields["end"], fields["space"])
        for name, fields in raw.items()
    }


def find_template(path: Path, name: str) -> Template | ChatTemplate:
    """The template called ``name``. Raises `UserError` with the known names if there is none."""
    templates = read_templates(path)
    if name not in templates:
        raise UserError(f"unknown template {name!r}; {path} has {', '.join(templates)}.")
    return templates[name]
