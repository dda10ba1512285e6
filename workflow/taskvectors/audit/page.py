"""A lineage as a page: the tree, every image with a thumbnail, every label with its source."""

from taskvectors.audit.lineage import Lineage, Record
from taskvectors.audit.tree import tree, used_labels
from taskvectors.base.pages import render_page
from taskvectors.study.manifest import is_manifest, read_manifest


def page(lineage: Lineage, target: Record) -> str:
    """The lineage of ``target`` as HTML."""
    records = lineage.ancestry([target])
    manifests = [record.path for record in records if is_manifest(record.path)]
    sources = dict.fromkeys(given["path"] for r in records for given in lineage.sources(r))
    labels = {path: used_labels(lineage, path, records) for path in sources}
    return render_page(
        "audit/lineage.html.j2",
        target=target.path,
        tree=tree(lineage, target),
        manifests={path: read_manifest(lineage.root / path) for path in manifests},
        labels_of={path: used for path, used in labels.items() if used},
    )
