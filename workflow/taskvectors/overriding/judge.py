"""``python -m taskvectors.overriding.judge``: whether answers do what was asked.

By rule where a rule can tell (`taskvectors.study.judging`); otherwise a model is asked for yes or
no, and what it was asked and said is kept. It is judged itself on texts whose answer is known.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_jsonl, write_jsonl
from taskvectors.base.progress import track
from taskvectors.engine.generate import generate
from taskvectors.engine.heads import plain_probability
from taskvectors.jobs.arguments import add_model, load_model
from taskvectors.jobs.instructed import own_or_spaced
from taskvectors.models.base import Adapter
from taskvectors.models.judged import encode_query
from taskvectors.study.judging import meets
from taskvectors.study.overriding import Criterion
from taskvectors.study.prompts import Template, Text

log = logging.getLogger("taskvectors")
TOKENS = 4  # of a raw answer
SIDES = ("asked", "patched")


@dataclass(frozen=True)
class Opinion:
    """What the judging model was asked, wrote, and holds for likelier: yes or no."""

    prompt: str
    raw: str
    yes: float
    no: float

    @property
    def agrees(self) -> bool:
        return self.yes > self.no


@dataclass(frozen=True)
class Judge:
    """A model that is asked for yes or no, in its own chat template where it has one."""

    adapter: Adapter
    template: Template

    def opinion(self, question: str, text: str) -> Opinion:
        """The likelier of yes and no as the first token of its answer."""
        words = f'{question} Answer yes or no. The text: "{text}"'
        prompt = self.template.query(Text(words))
        chances = []
        for label in ("Yes", "No"):
            encoded, tokens = encode_query(self.adapter, prompt, self.template, label)
            chances.append(plain_probability(self.adapter, encoded, tokens))
        (ids,) = generate(self.adapter, [encoded], TOKENS)
        return Opinion(words, self.adapter.tokenizer.decode(ids), *chances)


def judged(line: dict[str, Any], judge: Judge) -> dict[str, Any]:
    """An answer with whether it meets each criterion, and the opinions that this took."""
    found: dict[str, Any] = {}
    for side in SIDES:
        criterion, answer = line[side], line["answer"]
        met = meets(answer, criterion)
        if met is None and not answer:
            met = False
        elif met is None:
            opinion = judge.opinion(criterion["question"], answer)
            found[f"{side}_opinion"] = asdict(opinion)
            met = opinion.agrees
        found[f"{side}_met"] = met
    return {**line, **found}


def known_texts(lines: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    """The questions of all criteria with their known texts: question, text, whether it is so."""
    criteria: list[Criterion] = [line[side] for line in lines for side in SIDES]
    asked = {one["question"]: one for one in criteria if "question" in one}
    return [
        (question, text, expected == "yes")
        for question, one in asked.items()
        for expected in ("yes", "no")
        for text in one[expected]
    ]


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    parser.add_argument("--templates", required=True, type=Path, help="resources/templates.yaml")
    parser.add_argument("--answers", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    args = parse(parser)
    lines = read_jsonl(args.answers)
    if not lines:
        raise UserError(f"{args.answers} has no answers; make it again.")
    adapter = load_model(args)
    judge = Judge(adapter, own_or_spaced(adapter, args.templates))
    known = known_texts(lines)
    tests: list[dict[str, Any]] = [
        {"question": question, "text": text, "expected": expected}
        | asdict(judge.opinion(question, text))
        for question, text, expected in track(known, len(known), f"known texts {args.name}")
    ]
    verdicts = [judged(line, judge) for line in track(lines, len(lines), f"judge {args.name}")]
    write_jsonl(args.out / "verdicts.jsonl", verdicts)
    about = {"judge": args.name}
    write_jsonl(args.out / "known.jsonl", [{**about, **test} for test in tests])
    right = sum((test["yes"] > test["no"]) == test["expected"] for test in tests)
    log.info("%s: right about %d of %d known texts", args.name, right, len(tests))


if __name__ == "__main__":
    run_command(main)
