"""What prompting and patching cost a query, in seconds and memory."""

import pandas as pd

from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table

KEYS = ["model", "way", "inputs", "exemplars"]
GIGABYTE = 1e9


def compute_table(costs: pd.DataFrame) -> pd.DataFrame:
    """The costs of all models, each with its seconds and memory over those of patching."""
    patched = costs[costs["way"] == "patch"].set_index("model")
    mine = patched.loc[costs["model"]]
    return costs.assign(
        seconds_over_patch=costs["seconds"].to_numpy() / mine["seconds"].to_numpy(),
        memory_over_patch=costs["memory_bytes"].to_numpy() / mine["memory_bytes"].to_numpy(),
    )


def printed_costs(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: seconds with the fastest and slowest, gigabytes, ratios."""
    spans = zip(table["seconds"], table["fastest"], table["slowest"], strict=True)
    return (
        table[KEYS]
        .fillna("–")
        .assign(
            tokens=table["tokens"],
            seconds=[f"{middle:.3f} [{low:.3f}, {high:.3f}]" for middle, low, high in spans],
            GB=[f"{value / GIGABYTE:.2f}" for value in table["memory_bytes"]],
            **{
                "seconds over patch": [f"{ratio:.1f}" for ratio in table["seconds_over_patch"]],
                "memory over patch": [f"{ratio:.2f}" for ratio in table["memory_over_patch"]],
            },
        )
    )


def cost_sentence(model: str, costs: pd.DataFrame) -> str:
    """On what a model's costs were measured, over how many queries, and which exemplars repeat."""
    about = costs.iloc[0]
    repeated = costs[costs["distinct"] < costs["exemplars"]]
    again = "".join(
        f" Of {row['exemplars']} {row['inputs']} {row['distinct']} are different, in turn."
        for row in repeated.to_dict("records")
    )
    queries = f"{about['queries']} {about['query_modality']} queries each"
    return f"{model}: on {about['device']}; {queries}.{again}"


def render_costs(item: ShownItem) -> None:
    """Write the table of all models."""
    costs = item.frames("costs")
    table = compute_table(pd.concat(costs.values(), ignore_index=True))
    samples = [cost_sentence(model, one) for model, one in costs.items()]
    write_table(table, printed_costs(table), item.caption(samples), item.out)


if __name__ == "__main__":
    render_command(__doc__, {"table_compute": render_costs})
