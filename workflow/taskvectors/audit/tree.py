"""The lineage of a file as a tree of lines, with images and labels counted by where from."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from taskvectors.audit.labels import Label, is_entity_table, read_labels
from taskvectors.audit.lineage import Lineage, Record
from taskvectors.study.manifest import NOT_STATED, CollectedImage, is_manifest, read_manifest

# Parameters that say where a model is from.
ORIGIN = ("hub", "folder", "revision", "package", "file")
NAMED = 3  # names of a summary; --all shows every one


def tree(lineage: Lineage, target: Record, everything: bool = False) -> list[str]:
    """The lineage as lines. Jobs of one rule share a branch unless ``everything`` is shown; what
    was shown once is only named again."""
    lines = [f"{target.path}  ({target.rule})", *_made_with(lineage.ancestry([target]))]
    _branches(lineage, [target], "", everything, {target.path}, lines)
    return lines


def _branches(
    lineage: Lineage,
    records: Sequence[Record],
    indent: str,
    everything: bool,
    shown: set[str],
    lines: list[str],
) -> None:
    """Append what ``records`` were made from to ``lines``."""
    makers = {maker.path: maker for record in records for maker in lineage.makers(record)}
    groups: dict[Any, list[Record]] = {}
    for maker in makers.values():
        groups.setdefault(maker.job if everything else maker.rule, []).append(maker)
    sources = {given["path"]: given for record in records for given in lineage.sources(record)}
    rows = len(groups) + len(sources)
    for number, group in enumerate(groups.values(), start=1):
        stem, below = ("└─ ", "   ") if number == rows else ("├─ ", "│  ")
        new = [record for record in group if record.path not in shown]
        shown.update(record.path for record in new)
        lines.append(indent + stem + _title(group, everything) + ("" if new else "  (see above)"))
        lines += [f"{indent}{below}·  {text}" for text in _origins(lineage, new, everything)]
        if new:
            _branches(lineage, new, indent + below, everything, shown, lines)
    for number, given in enumerate(sources.values(), start=len(groups) + 1):
        stem, below = ("└─ ", "   ") if number == rows else ("├─ ", "│  ")
        lines.append(indent + stem + _source_title(lineage, given))
        labels = used_labels(lineage, given["path"], records)
        if labels and given["path"] not in shown:
            shown.add(given["path"])
            lines += [f"{indent}{below}·  {text}" for text in label_lines(labels, everything)]


def _title(group: Sequence[Record], everything: bool) -> str:
    """The rule, how many of its jobs, their outputs, and the model and seeds they used."""
    first, jobs = group[0], len({record.job for record in group})
    paths = [record.path for record in group]
    words = [f"{first.rule} ×{jobs}" if jobs > 1 else first.rule, condensed(paths)]
    models = {model_words(record.model) for record in group if record.model}
    if models:
        words.append(f"[{'; '.join(sorted(models))}; on {first.device}]")
    origin = [f"{k} {first.params[k]}" for k in ORIGIN if k in first.params]
    words += [f"[{', '.join(origin)}]"] if origin else []
    if everything:
        words.append(f"code {first.code}; sha256 {first.output['sha256'][:12]}")
    return "  ".join(words)


def _source_title(lineage: Lineage, given: dict[str, Any]) -> str:
    recordless = "  NO RECORD" if given["path"].startswith(f"{lineage.prefix}/") else ""
    changed = "" if lineage.unchanged(given) or recordless else "  CHANGED SINCE"
    return f"{given['path']}{recordless}{changed}"


def model_words(model: dict[str, Any]) -> str:
    """A model's name, revision, precision and image backend in a few words."""
    about = (model["revision"], model["dtype"], model["quantisation"], model["image_backend"])
    return " ".join([model["name"], *(str(word) for word in about if word)])


def condensed(paths: Sequence[str]) -> str:
    """Paths with their differing parts in braces: ``write/{a,b}/test.parquet``.

    Paths of different depths stand side by side.
    """
    by_depth: dict[int, list[list[str]]] = {}
    for path in paths:
        by_depth.setdefault(path.count("/"), []).append(path.split("/"))
    shown = ["/".join(map(_alternatives, zip(*same, strict=True))) for same in by_depth.values()]
    return " ".join(shown)


def _alternatives(parts: Iterable[str]) -> str:
    names = list(dict.fromkeys(parts))
    if len(names) == 1:
        return names[0]
    return "{" + ",".join([*names[:NAMED], *(["…"] if len(names) > NAMED else [])]) + "}"


def _made_with(records: Sequence[Record]) -> list[str]:
    """Commit, packages, machine, seeds and time of all jobs; several values stand side by side."""
    commits = {
        f"{r.git['commit'][:12]}{' with uncommitted changes' if r.git['dirty'] else ''}"
        if r.git
        else "outside a repository"
        for r in records
    }
    versions = {
        f"{name} {record.packages['versions'][name]}"
        for record in records
        for name in ("torch", "transformers", "snakemake")
        if name in record.packages["versions"]
    }
    facts = {
        "made": f"{min(r.started for r in records)} to {max(r.ended for r in records)}",
        "commit": ", ".join(sorted(commits)),
        "packages": ", ".join(sorted(versions)),
        "machine": ", ".join(sorted({r.machine["platform"] for r in records})),
        "seeds": ", ".join(map(str, sorted({seed for r in records for seed in r.seeds}))),
    }
    return [f"│  {name}: {value}" for name, value in facts.items() if value]


def _origins(lineage: Lineage, records: Sequence[Record], everything: bool) -> list[str]:
    """Where the images of the manifests among ``records`` are from."""
    lines = []
    for record in records:
        if is_manifest(record.path):
            lines += image_lines(read_manifest(lineage.root / record.path), everything)
            if not lineage.unchanged(record.output):
                lines.append(f"{record.path} CHANGED SINCE it was recorded")
    return lines


def image_lines(images: Sequence[CollectedImage], everything: bool) -> list[str]:
    """Images counted by where they came from, or each with page, revision and licence."""
    if everything:
        return [
            f"{p.entity} ({p.entity_set}): {p.title}, {p.source}"
            f"{f', revision {p.revision}' if p.revision else ''}, {p.author or NOT_STATED}, "
            f"{p.licence or NOT_STATED} {p.licence_url}"
            for p in images
        ]
    return [f"{n} images: {text}" for text, n in _counted(images, lambda p: p.origin)]


def used_labels(lineage: Lineage, source: str, users: Iterable[Record]) -> list[Label]:
    """The labels that ``users`` took from ``source``; none where it is no entity table."""
    if not is_entity_table(source):
        return []
    taken = [user for user in users if source in {given["path"] for given in user.inputs}]
    columns = {user.params["label"] for user in taken if "label" in user.params}
    return read_labels(lineage.root / source, sorted(columns))


def label_lines(labels: Sequence[Label], everything: bool) -> list[str]:
    """Labels counted by source, or each with source, method and page."""
    if everything:
        return [
            f"{one.entity}, {one.column}: {one.label}; {one.method}, {one.source}, {one.url}"
            for one in labels
        ]
    lines = []
    for column in sorted({one.column for one in labels}):
        mine = [one for one in labels if one.column == column]
        methods = ", ".join(f"{n} {method}" for method, n in _counted(mine, lambda one: one.method))
        lines.append(f"{len(mine)} labels {column}: {methods}")
        sources = _counted(mine, lambda one: one.source)
        lines += [f"   {n} from {source}" for source, n in sources[:NAMED]]
        rest = len(mine) - sum(n for _, n in sources[:NAMED])
        lines += [f"   {rest} from {len(sources) - NAMED} other sources"] if rest else []
    return lines


def _counted(things: Iterable[Any], what: Callable[[Any], str]) -> list[tuple[str, int]]:
    return Counter(map(what, things)).most_common()
