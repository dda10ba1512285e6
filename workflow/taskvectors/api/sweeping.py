"""All layers, or all attention heads, in one pass."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from taskvectors.api.asking import Exemplars
from taskvectors.api.given import listed, pairs_of, strength_of, text_of
from taskvectors.api.model import Model, Shown
from taskvectors.api.replies import Sweep
from taskvectors.api.vectors import TaskVector, check_fits
from taskvectors.base.errors import UserError
from taskvectors.engine.forward import run
from taskvectors.engine.heads import head_effects, read_heads
from taskvectors.engine.patching import TOKENS_PER_PASS, patched_answers
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import whole
from taskvectors.jobs.queries import said
from taskvectors.models.judged import encode_query
from taskvectors.study.first_tokens import count_first_tokens
from taskvectors.study.metrics import judged
from taskvectors.study.prompts import EXEMPLAR, ImageInput, Text

log = logging.getLogger("taskvectors")


def sweep(
    model: Model,
    queries: Sequence[Shown],
    vector: TaskVector,
    labels: Sequence[str] | None = None,
    *,
    strength: float | None = None,
) -> Sweep:
    """Every query with the vector patched in after every layer, one after the other: first tokens.

    With ``labels``, one a query, it is said which are right, and a warning where their first tokens
    tell little. Raises `UserError` where the vector
    does not fit the model, there is no query, or there are more or fewer labels than queries.

    >>> vector = read(model, [("France", "Paris"), ("Japan", "Tokyo")])
    >>> len(sweep(model, ["Italy", "Peru"], vector, ["Rome", "Lima"]).rows)
    6
    """
    check_fits(vector, model)
    strength = strength_of(strength)
    queries = listed(queries, "queries")
    if not queries:
        raise UserError("there is no query to sweep; give at least one.")
    if labels is not None:
        labels = [text_of(label, "a label") for label in listed(labels, "labels")]
        if len(labels) != len(queries):
            raise UserError(
                f"there are {len(queries)} queries but {len(labels)} labels; give as many."
            )
    adapter, template = model.adapter, model.template
    asked = [model.place(query) for query in queries]
    named = [_name(query, shown) for query, shown in zip(queries, asked, strict=True)]
    prompts, label_ids = [], []
    for number, shown in enumerate(asked):
        prompt = template.query(shown)
        if labels is None:
            prompts.append(adapter.encode(prompt))
        else:
            encoded, tokens = encode_query(adapter, prompt, template, labels[number])
            prompts.append(encoded)
            label_ids.append(tokens)
    if labels is not None:
        for caveat in count_first_tokens(labels, label_ids).caveats():
            log.warning("%s, template %s: %s", model.name, template.name, caveat)
    sites = [Site("vector", layer, strength) for layer in range(model.layers)]
    rows = []
    for batch in patched_answers(adapter, prompts, {"vector": vector.tensor}, sites):
        for number, site, answer in batch:
            row = {"number": number, "query": named[number]}
            row |= {"layer": site.layer, **said(adapter, answer.token_ids)}
            row |= {"logit_difference": answer.logit_difference}
            if labels is not None:
                row |= {"label": labels[number], **said(adapter, label_ids[number], "label_")}
            rows.append(row)
    table = pd.DataFrame(rows).sort_values(["number", "layer"], ignore_index=True)
    return Sweep((table if labels is None else judged(table)).drop(columns="number"))


def _name(query: Shown, shown: Text | ImageInput) -> str:
    """What a query is called: a text itself, an image by its path, if only that of its copy."""
    if isinstance(shown, Text):
        return shown.text
    return str(query) if isinstance(query, Path) else shown.path


def sweep_heads(
    model: Model, clean: Exemplars, shuffled: Exemplars, query: Shown, label: str
) -> pd.DataFrame:
    """Causal mediation (Todd et al., 2024), all heads in one pass: by how much each head's output
    at the delimiter of ``clean`` exemplars raises the probability of what is judged of the label,
    put in its place at the end of a prompt with ``shuffled`` ones. Strongest first: layer, head,
    effect.

    >>> found = sweep_heads(model, [("a", "b")], [("a", "c")], "d", "e")
    >>> sorted(found) == ["effect", "head", "layer"]
    True
    """
    adapter, template = model.adapter, model.template
    pairs, mixed = (
        [(model.place(shown), output) for shown, output in pairs_of(given, what)]
        for given, what in ((clean, "clean exemplars"), (shuffled, "shuffled exemplars"))
    )
    if not (pairs and mixed):
        raise UserError("mediation takes clean and shuffled exemplars; give at least one of each.")
    encoded = adapter.encode((*template.exemplars(pairs), *template.query(model.place(query))))
    places = [(0, encoded.marks[EXEMPLAR.name])]
    with read_heads(adapter, places) as heads:
        # Residual streams are read, too, so that heads that leave no number are noticed.
        run(adapter, [whole(encoded)], places)
    (outputs,) = heads.on_host()
    prompt = (*template.exemplars(mixed), *template.query(model.place(query)))
    asked, answer = encode_query(adapter, prompt, template, text_of(label, "the label"))
    before, after = head_effects(adapter, asked, outputs.float(), answer, TOKENS_PER_PASS)
    rows = [
        {"layer": layer, "head": head, "effect": float(effect) - before}
        for layer, line in enumerate(after)
        for head, effect in enumerate(line)
    ]
    return pd.DataFrame(rows).sort_values("effect", ascending=False, ignore_index=True)
