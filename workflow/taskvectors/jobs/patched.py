"""Queries patched with vectors: each answer as a prediction."""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from taskvectors.base.progress import track
from taskvectors.engine.patching import patched_answers
from taskvectors.engine.sweep import Site
from taskvectors.jobs.arguments import Context
from taskvectors.jobs.queries import Query, prediction
from taskvectors.models.base import Adapter
from taskvectors.study.predictions import Prediction, method_name
from taskvectors.study.vectors import parse_vector_name


def with_vectors(
    queries: Sequence[Query], full: dict[str, Tensor], before_text: dict[str, Tensor]
) -> list[tuple[list[Query], dict[str, Tensor]]]:
    """The queries with the specifications' vectors, those of text queries apart where text
    queries have vectors of their own (`taskvectors.study.vectors.take_before_text`)."""
    if not before_text:
        return [(list(queries), full)]
    return [
        ([query for query in queries if query.modality != "text"], full),
        ([query for query in queries if query.modality == "text"], full | before_text),
    ]


def patch_queries(
    adapter: Adapter,
    context: Context,
    queries: Sequence[Query],
    vectors: dict[str, Tensor],
    layers: Sequence[int],
) -> list[Prediction]:
    """Every query patched with every vector at every one of ``layers``."""
    sites = [Site(name, layer) for layer in layers for name in vectors]
    answers = answered(adapter, context, queries, vectors, sites, lambda name: ("patch", name))
    return [one for one, _ in answers]


def answered(
    adapter: Adapter,
    context: Context,
    queries: Sequence[Query],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    way_of: Callable[[str], tuple[str, str]],
) -> Iterator[tuple[Prediction, Site]]:
    """Every query's answer at every site; ``way_of`` tells the way (as in `method_name`) and the
    vector's own name from the name of a site."""
    if not queries or not sites:
        return
    passes = patched_answers(adapter, [query.encoded for query in queries], vectors, sites)
    about = f"patch {context.model} {context.task}"
    for batch in track(passes, len(queries) * len(sites), about, size=len):
        for number, site, answer in batch:
            way, name = way_of(site.name)
            specification, seed = parse_vector_name(name)
            query = queries[number]
            method = method_name(specification, query.modality, way)
            one = prediction(
                adapter, context, query, answer, method,
                specification=specification, seed=seed, layer=site.layer,
            )  # fmt: skip
            yield one, site
