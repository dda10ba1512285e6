# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your first cross-modal task vector
#
# A model is shown a few pairs in text, `France` → `Paris`, and then a *picture*: the flag of a country that was not
# among them. Does what it understood of the text help it with the picture?
#
# This notebook takes about ten minutes on a laptop. It needs the embedded model and its images, which
# `make run` has made (or `snakemake --cores 2 results/embedded/prepare/embedded results/embedded/collect/twemoji/countries/images`).

# %%
from pathlib import Path

from taskvectors import ask, average, compare, lens, load, open_vector, patch, read, sweep

model = load("embedded")
model

# %% [markdown]
# ## Images and names
#
# A `str` is text, a `Path` is an image.

# %%
FLAGS = next(Path("..").glob("results/*/collect/twemoji/countries/images"))
CAPITALS = {
    "France": "Paris",
    "Japan": "Tokyo",
    "Italy": "Rome",
    "Egypt": "Cairo",
    "Peru": "Lima",
    "Spain": "Madrid",
    "Russia": "Moscow",
    "Cuba": "Havana",
    "Norway": "Oslo",
    "Germany": "Berlin",
    "Greece": "Athens",
    "Portugal": "Lisbon",
    "Austria": "Vienna",
    "Poland": "Warsaw",
    "Ireland": "Dublin",
    "Hungary": "Budapest",
}
shown, queries = list(CAPITALS.items())[:10], list(CAPITALS.items())[10:]
flag = {name: FLAGS / f"{name.lower()}.png" for name in CAPITALS}
flag["Greece"].name

# %% [markdown]
# Asked a flag alone, the model has no idea what is wanted of it.

# %%
ask(model, flag["Greece"])

# %% [markdown]
# ## A vector of text
#
# A task vector is the residual stream at the delimiter after the last exemplar, after every layer. One prompt's vector
# is noisy; the mean over a few prompts is less so. No image is involved.

# %%
vectors = [read(model, [shown[(first + step) % 10] for step in range(5)]) for first in range(10)]
text = average(vectors)
text

# %% [markdown]
# ## Patched into pictures
#
# `sweep` puts the vector in the place of the query's own residual stream, at the delimiter, after each layer in turn, in
# one pass. Early layers do nothing yet, the last ones come too late.

# %%
found = sweep(model, [flag[name] for name, _ in queries], text, [capital for _, capital in queries])
found

# %%
axis = found.accuracy().plot(xlabel="layer", ylabel="accuracy", ylim=(0, 1))

# %% [markdown]
# At the best layer, the query is answered though nothing in the prompt says what is asked.

# %%
layer = found.best_layer()
[str(patch(model, flag[name], text, layer)) for name, _ in queries]

# %% [markdown]
# The same exemplars in the prompt, before the picture, are the ordinary way. Six flags are few: the tables of `make run`
# have both ways over all items, with intervals. There the two are near each other on this small model; in the paper's
# large ones patching is the better.

# %%
[str(ask(model, flag[name], shown[:5])) for name, _ in queries]

# %% [markdown]
# ## What is in it
#
# The logit lens decodes the vector as if each layer were the last. In large models the middle layers decode to words for
# the task; in this small one to little that reads like it, which is no sign that the vector does not work.

# %%
lens(model, text, top=4).query("layer in [0, @layer, @model.layers - 1]").pivot(
    index="layer", columns="rank", values="token"
)

# %% [markdown]
# A vector of pictures, and one of the bare instruction, beside it:

# %%
image = average(
    [
        read(model, [(flag[name], capital) for name, capital in shown[first : first + 3]])
        for first in range(0, 9, 3)
    ]
)
rule = read(model, instruction="The capital city of the country:")
compare({"text": text, "images": image, "instruction": rule}, layer).round(2)

# %% [markdown]
# ## Save it, open it
#
# The file says of which model it is, where and from how many prompts it was read.

# %%
text.save("capital.safetensors")
open_vector("capital.safetensors", model)

# %% [markdown]
# From here: [your own prompts](own-prompts.md) without a line of Python, [your own task](own-task.md) through the whole
# workflow, and [vectors to share](sharing.md).
