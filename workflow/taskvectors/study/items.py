"""Every table and figure by its name: the module that renders it, and what it reads."""

from dataclasses import dataclass, field

Patterns = dict[str, str]


@dataclass(frozen=True)
class CatalogueEntry:
    """A table or figure. ``inputs`` are path patterns by name, no more than the item needs;
    ``{model}`` and ``{task}`` stand for every model and task, ``{template}`` for the shown one and
    ``{each_template}`` for all; ``{vlm}`` for every VLM with a language model, and ``{transfer}``
    and ``{transfer_task}`` for the folders of what their vectors did, in all and by task."""

    module: str
    inputs: Patterns = field(default_factory=dict)


SCORE = "{results}/score/{model}/{template}"
QUALITATIVE = "{results}/qualitative/{model}/{template}"
READ = "{results}/read/{model}/{template}/{task}"

_SCORES = {"scores": f"{SCORE}/accuracy.csv"}
_LAYER = {"layer": f"{SCORE}/layer.json"}
_DECODINGS = {
    **_LAYER,
    "decodings": f"{SCORE}/{{task}}/decodings.csv",
    "prompts": f"{READ}/activations.json",
}
_PHASES = {"phases": f"{SCORE}/phases.csv"}
_TOPS = {"tops": f"{SCORE}/tops.csv"}
_ANSWERS = {
    "answers": "{results}/qualitative/{model}/{template}/answers.jsonl",
    "images": "{images}",
}
_CONFLICT = {"scores": f"{SCORE}/conflict.csv"}
_HEADS = {"heads": f"{SCORE}/heads.csv"}
_FUNCTION_VECTORS = {"scores": f"{SCORE}/function_vectors.csv"}
_INSTRUCTIONS = {"scores": f"{SCORE}/instructions.csv"}
_OVERRIDING = {"scores": f"{SCORE}/overriding.csv"}
_TRANSFER = {
    "scores": "{results}/score/{vlm}/{template}/accuracy.csv",
    "layer": "{results}/score/{vlm}/{template}/layer.json",
    "transferred": "{results}/score/{transfer}/accuracy.csv",
    "own_layer": "{results}/score/{transfer}/layer.json",
}

ITEMS = {
    "reproduction": CatalogueEntry(
        "reproduction", {"claims": "{results}/score/claims.csv", **_SCORES}
    ),
    "table_1": CatalogueEntry(
        "overview",
        {
            "tasks": "resources/tasks.yaml",
            "examples": "{results}/curate/{task}/validation.jsonl",
            "images": "{images}",
        },
    ),
    "table_2": CatalogueEntry("decodings", _DECODINGS),
    "table_2_instruction": CatalogueEntry("decodings", _DECODINGS),
    "table_3": CatalogueEntry("tables", _SCORES),
    "table_4": CatalogueEntry(
        "transfer", {**_TRANSFER, "similarity": "{results}/score/{transfer}/similarity.csv"}
    ),
    "table_5": CatalogueEntry(
        "overview",
        {
            "sources": "resources/models.yaml",
            "checkpoints": "{results}/prepare/{model}",
            "layers": f"{READ}/activations.json",
        },
    ),
    "table_6": CatalogueEntry(
        "templates", {"scores": "{results}/score/{model}/{each_template}/accuracy.csv"}
    ),
    "table_7": CatalogueEntry("transfer", _TRANSFER),
    "table_8": CatalogueEntry("tables", _SCORES),
    "table_conflict": CatalogueEntry("conflict", _CONFLICT),
    "table_descriptions": CatalogueEntry("tables", {"scores": f"{SCORE}/descriptions.csv"}),
    "table_dependence": CatalogueEntry("dependence", _SCORES),
    "table_pairs": CatalogueEntry("pairs", {"pairs": f"{SCORE}/pairs.csv"}),
    "table_power": CatalogueEntry("pairs", {"power": f"{SCORE}/power.csv"}),
    "table_heads": CatalogueEntry("heads", {**_HEADS, "overlap": f"{SCORE}/overlap.csv"}),
    "table_function_vectors": CatalogueEntry("function_vectors", _FUNCTION_VECTORS),
    "table_composition": CatalogueEntry("function_vectors", _FUNCTION_VECTORS),
    "naming": CatalogueEntry("tables"),
    "table_wild": CatalogueEntry("tables", _SCORES),
    "table_gap": CatalogueEntry("gap", {"gap": f"{SCORE}/gap.csv"}),
    "table_controls": CatalogueEntry(
        "controls", {"scores": f"{SCORE}/controls.csv", "pairs": f"{SCORE}/control_pairs.csv"}
    ),
    "table_instructions": CatalogueEntry("instructions", _INSTRUCTIONS),
    "table_compute": CatalogueEntry(
        "compute", {"costs": "{results}/compute/{model}/{template}/costs.csv"}
    ),
    "table_overriding": CatalogueEntry("overriding", _OVERRIDING),
    "figure_3": CatalogueEntry("evolution", _PHASES),
    "figure_3_all": CatalogueEntry("evolution", _PHASES),
    "figure_3_instruction": CatalogueEntry("evolution", _PHASES),
    "figure_4": CatalogueEntry("evolution", _TOPS),
    "figure_4_all": CatalogueEntry("evolution", _TOPS),
    "figure_5": CatalogueEntry("grids", _ANSWERS),
    "figure_7": CatalogueEntry("grids", _ANSWERS),
    "figure_8": CatalogueEntry("samples", {"samples": f"{SCORE}/samples.csv", **_SCORES}),
    "figure_9": CatalogueEntry("grids", _ANSWERS),
    "figure_10": CatalogueEntry("grids", _ANSWERS),
    "figure_11": CatalogueEntry("layers", {"curves": f"{SCORE}/curves.csv", **_LAYER}),
    "figure_conflict": CatalogueEntry("conflict", _CONFLICT),
    "figure_instructions": CatalogueEntry("instructions", _INSTRUCTIONS),
    "figure_overriding": CatalogueEntry("overriding", _OVERRIDING),
    "figure_tsne": CatalogueEntry("tsne", {"places": f"{SCORE}/tsne.csv"}),
    "figure_context": CatalogueEntry("context", {"places": f"{SCORE}/context.csv"}),
    "figure_heads": CatalogueEntry("heads", _HEADS),
    "figure_strength": CatalogueEntry(
        "strength",
        {"by_strength": f"{SCORE}/by_strength.csv", "injection": f"{SCORE}/injection.json"},
    ),
}

# What the claims of the paper are measured on; the conflict only where there is one.
CLAIMS: Patterns = {
    "claims": "resources/paper/claims.yaml",
    "models": "resources/models.yaml",
    "examples": "{results}/curate/{task}/test.jsonl",
    "exemplars": "{results}/curate/{task}/exemplars.jsonl",
    "baselines": "{results}/read/{model}/{each_template}/{task}/baselines.parquet",
    "patched": "{results}/write/{model}/{each_template}/{task}/test.parquet",
    "validation": "{results}/write/{model}/{template}/{task}/validation.parquet",
    "phases": f"{SCORE}/{{task}}/phases.csv",
    "decodings": f"{SCORE}/{{task}}/decodings.csv",
    "places": f"{SCORE}/tsne.csv",
    "layer": f"{SCORE}/layer.json",
    "descriptions": f"{QUALITATIVE}/descriptions.parquet",
    "conflict": f"{QUALITATIVE}/conflict.parquet",
    "transferred": "{results}/write/{transfer_task}/test.parquet",
    "similarity": "{results}/score/{transfer}/similarity.csv",
}

# What there is only where a VLM has its language model configured.
TRANSFER = ("table_4", "table_7")
# What there is only where two models of this project's own see differently.
GAP = ("table_gap",)
# What there is only where descriptions stand in text prompts.
WILD = ("table_wild",)
# What there is only where two tasks ask about one entity set.
CONFLICT = ("table_conflict", "figure_9", "figure_conflict")
# What there is only where attention heads are read; the last needs two such tasks besides.
COMPOSITION = ("table_composition",)
HEADS = ("figure_heads", "table_heads", "table_function_vectors", "figure_strength", *COMPOSITION)

# What there is only where a key of the configuration is true, and what it needs.
SWITCHED = {
    "heads": (HEADS, "needs attention heads to be read"),
    "controls": (("table_controls",), "needs vectors that should do nothing"),
    "instructions": (
        ("table_instructions", "figure_instructions"),
        "needs instructions with noise in them",
    ),
    "compute": (("table_compute",), "needs seconds and memory to be measured"),
    "overriding": (
        ("table_overriding", "figure_overriding"),
        "needs prompts that a vector contradicts",
    ),
}


def module_of(item: str) -> str:
    """The dotted name of the module that renders ``item``."""
    return f"taskvectors.render.{ITEMS[item].module}"
