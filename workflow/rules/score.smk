# Stage score: every number that a table or figure shows, with its interval, and what the paper's
# claims come to.
#
# REQUIRED INPUTS: read/.../{baselines.parquet,activations.safetensors} and write/.../test.parquet
#                  of all tasks, average/.../vectors.safetensors,
#                  qualitative/.../{conflict,descriptions}.parquet, resources/{tasks.yaml,paper/,
#                  experiments/paper.yaml}
# OUTPUTS:         results/<experiment>/score/<model>/<template>/
#                  {accuracy,pairs,power,conflict,descriptions,samples,curves,phases,tops,tsne,
#                  context}.csv
#                  results/<experiment>/score/<model>/<template>/<task>/{phases,tops,decodings}.csv
#                  results/<experiment>/score/claims.csv

# Options of every bootstrap.
BOOTSTRAP = {"resamples": "params.bootstrap_resamples", "seed": "params.bootstrap_seed"}


rule score:
    input:
        predictions=answers_of_tasks,
        validation=[],
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/accuracy.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/score.log",
    benchmark:
        f"{BENCHMARKS}/score/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        datasets=expand(f"{RESULTS}/curate/{{task}}", task=config["tasks"]),
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            *("score", "score.accuracy"),
            predictions="input.predictions",
            validation="input.validation",
            datasets="params.datasets",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )


# The headline contrasts, answer by answer, and what difference they could have shown.
rule score_pairs:
    input:
        answers_of_tasks,
    output:
        f"{RESULTS}/score/{MODEL_JOB}/pairs.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/pairs.log",
    benchmark:
        f"{BENCHMARKS}/score_pairs/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.pairs"),
    shell:
        recorded(
            *("score_pairs", "score.pairs"),
            predictions="input",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )


rule score_power:
    input:
        predictions=answers_of_tasks,
        tasks=ancient("resources/tasks.yaml"),  # its lines that count are a param
        paper="resources/experiments/paper.yaml",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/power.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/power.log",
    benchmark:
        f"{BENCHMARKS}/score_power/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        definitions=PLAN.definitions(),
        code=code_hash("taskvectors.score.power"),
    shell:
        recorded(
            *("score_power", "score.power", "definitions"),
            predictions="input.predictions",
            task_file="input.tasks",
            paper="input.paper",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )


rule score_conflict:
    input:
        f"{RESULTS}/qualitative/{MODEL_JOB}/conflict.parquet",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/conflict.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/conflict.log",
    benchmark:
        f"{BENCHMARKS}/score_conflict/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.conflict"),
    shell:
        recorded(
            *("score_conflict", "score.conflict"),
            conflicts="input",
            **BOOTSTRAP,
            out="output",
        )


rule score_descriptions:
    input:
        predictions=f"{RESULTS}/qualitative/{MODEL_JOB}/descriptions.parquet",
        validation=of_tasks("read", "baselines.parquet"),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/descriptions.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/descriptions.log",
    benchmark:
        f"{BENCHMARKS}/score_descriptions/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            *("score_descriptions", "score.accuracy"),
            predictions="input.predictions",
            validation="input.validation",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )


rule score_samples:
    input:
        of_tasks("write", "test.parquet"),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/samples.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/samples.log",
    benchmark:
        f"{BENCHMARKS}/score_samples/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.samples"),
    shell:
        recorded(
            *("score_samples", "score.samples"),
            predictions="input",
            tasks="params.tasks",
            out="output",
        )


rule score_curves:
    input:
        by_layer=f"{RESULTS}/score/{MODEL_JOB}/by_layer.csv",
        baselines=of_tasks("read", "baselines.parquet"),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/curves.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/curves.log",
    benchmark:
        f"{BENCHMARKS}/score_curves/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.curves"),
    shell:
        recorded(
            *("score_curves", "score.curves"),
            by_layer="input.by_layer",
            baselines="input.baselines",
            tasks="params.tasks",
            out="output",
        )


rule score_tsne:
    input:
        of_tasks("read", "activations.safetensors"),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/tsne.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/tsne.log",
    benchmark:
        f"{BENCHMARKS}/score_tsne/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.tsne"),
    shell:
        recorded(
            *("score_tsne", "score.tsne"),
            activations="input",
            tasks="params.tasks",
            out="output",
        )


rule score_context:
    input:
        activations=of_tasks("read", "activations.safetensors"),
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/context.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/context.log",
    benchmark:
        f"{BENCHMARKS}/score_context/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.context"),
    shell:
        recorded(
            *("score_context", "score.context"),
            activations="input.activations",
            tasks="params.tasks",
            layer="input.layer",
            out="output",
        )


# The entity sets that are evaluated, and those that vision towers learnt.
SEEN = {*PLAN.entity_sets, *PLAN.images.learned}


# What a model sees in the images of these, and whether it uses it.
rule score_sight:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        manifests=PLAN.images.manifests(SEEN),
        images=ancient(PLAN.images.folders(SEEN)),
        neutral="resources/neutral.yaml",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/sight.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/sight.log",
    benchmark:
        f"{BENCHMARKS}/score_sight/{MODEL_JOB}.jsonl"
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        code=code_hash("taskvectors.score.sight"),
    shell:
        recorded(
            *("score_sight", "score.sight"),
            **MODEL,
            **TEMPLATE,
            manifests="input.manifests",
            neutral="input.neutral",
            out="output",
        )


# The same beside what prompting and patching earn.
rule score_gap:
    input:
        model=model_folder,
        sight=f"{RESULTS}/score/{MODEL_JOB}/sight.csv",
        phases=of_tasks("score", "phases.csv"),
        scores=f"{RESULTS}/score/{MODEL_JOB}/accuracy.csv",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/gap.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/gap.log",
    benchmark:
        f"{BENCHMARKS}/score_gap/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.gap"),
    shell:
        recorded(
            *("score_gap", "score.gap"),
            model="input.model",
            sight="input.sight",
            phases="input.phases",
            tasks="params.tasks",
            scores="input.scores",
            out="output",
        )


# What the residual stream decodes to at every layer, for Table 2 and Figures 3 and 4.
rule decode:
    input:
        activations=f"{RESULTS}/read/{TASK_JOB}/activations.safetensors",
        baselines=f"{RESULTS}/read/{TASK_JOB}/baselines.parquet",
        vectors=f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
        model=model_folder,
        tasks=ancient("resources/tasks.yaml"),  # its words that count are a param
    output:
        phases=f"{RESULTS}/score/{TASK_JOB}/phases.csv",
        tops=f"{RESULTS}/score/{TASK_JOB}/tops.csv",
        decodings=f"{RESULTS}/score/{TASK_JOB}/decodings.csv",
    log:
        f"{LOGS}/score/{TASK_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/decode/{TASK_JOB}.jsonl"
    cache: CACHING
    resources:
        **GPU_JOB,
    params:
        out=subpath(output.tops, parent=True),
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        tokens=lambda wildcards: json.dumps(TASKS[wildcards.task].tokens, sort_keys=True),
        key=cache_key,
        code=code_hash("taskvectors.score.decode"),
    shell:
        recorded(
            *("decode", "score.decode", "tokens"),
            **MODEL,
            activations="input.activations",
            vectors="input.vectors",
            baselines="input.baselines",
            tasks="input.tasks",
            task="wildcards.task",
            out="params.out",
        )


# The same over all tasks, averaged over seeds.
rule score_evolution:
    input:
        phases=of_tasks("score", "phases.csv"),
        tops=of_tasks("score", "tops.csv"),
    output:
        phases=f"{RESULTS}/score/{MODEL_JOB}/phases.csv",
        tops=f"{RESULTS}/score/{MODEL_JOB}/tops.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/evolution.log",
    benchmark:
        f"{BENCHMARKS}/score_evolution/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        out=subpath(output.tops, parent=True),
        code=code_hash("taskvectors.score.evolution"),
    shell:
        recorded(
            *("score_evolution", "score.evolution"),
            phases="input.phases",
            tops="input.tops",
            tasks="params.tasks",
            out="params.out",
        )


# Every claim of the paper: its numbers, ours, and what follows.
rule score_claims:
    input:
        **PLAN.claim_inputs(),
    output:
        f"{RESULTS}/score/claims.csv",
    log:
        f"{LOGS}/score/claims.log",
    benchmark:
        f"{BENCHMARKS}/score_claims/all.jsonl"
    localrule: True
    params:
        models=config["models"],
        tasks=config["tasks"],
        inputs=input_options(PLAN.claim_inputs()),
        templates=config["templates"],
        vlms=list(config["language_models"]),
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.claims"),
    shell:
        recorded(
            *("score_claims", "score.claims"),
            models="params.models",
            tasks="params.tasks",
            templates="params.templates",
            vlms="params.vlms",
            **BOOTSTRAP,
            _inputs="params.inputs",
            out="output",
        )
