# Stage score: every number that a table or figure shows, with its interval, and what the paper's
# claims come to.
#
# REQUIRED INPUTS: read/.../{baselines.parquet,activations.safetensors} and write/.../test.parquet
#                  of all tasks, qualitative/.../{conflict,descriptions}.parquet, resources/paper/
# OUTPUTS:         results/<experiment>/score/<model>/<template>/{accuracy,conflict,descriptions,
#                  samples,curves,phases,tops,tsne}.csv
#                  results/<experiment>/score/<model>/<template>/<task>/{phases,tops,decodings}.csv
#                  results/<experiment>/score/claims.csv


rule score:
    input:
        baselines=expand(
            f"{RESULTS}/read/{{{{model}}}}/{{{{template}}}}/{{task}}/baselines.parquet",
            task=config["tasks"],
        ),
        patched=expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/test.parquet",
            task=config["tasks"],
        ),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/accuracy.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/score.log",
    benchmark:
        f"{BENCHMARKS}/score/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        datasets=expand(f"{RESULTS}/curate/{{task}}", task=config["tasks"]),
        tasks=config["tasks"],
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            "score",
            "python -m taskvectors.score.accuracy --predictions {input.baselines} {input.patched} "
            "--datasets {params.datasets} --tasks {params.tasks} --resamples {params.resamples} "
            "--seed {params.seed} --out {output} --log {log}",
        )


rule score_conflict:
    input:
        f"{RESULTS}/qualitative/{{model}}/{{template}}/conflict.parquet",
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/conflict.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/conflict.log",
    benchmark:
        f"{BENCHMARKS}/score_conflict/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.conflict"),
    shell:
        recorded(
            "score_conflict",
            "python -m taskvectors.score.conflict --conflicts {input} --resamples {params.resamples} "
            "--seed {params.seed} --out {output} --log {log}",
        )


rule score_descriptions:
    input:
        f"{RESULTS}/qualitative/{{model}}/{{template}}/descriptions.parquet",
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/descriptions.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/descriptions.log",
    benchmark:
        f"{BENCHMARKS}/score_descriptions/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            "score_descriptions",
            "python -m taskvectors.score.accuracy --predictions {input} --tasks {params.tasks} "
            "--resamples {params.resamples} --seed {params.seed} --out {output} --log {log}",
        )


rule score_samples:
    input:
        expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/test.parquet",
            task=config["tasks"],
        ),
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/samples.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/samples.log",
    benchmark:
        f"{BENCHMARKS}/score_samples/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.samples"),
    shell:
        recorded(
            "score_samples",
            "python -m taskvectors.score.samples --predictions {input} "
            "--tasks {params.tasks} --out {output} --log {log}",
        )


rule score_curves:
    input:
        by_layer=f"{RESULTS}/score/{{model}}/{{template}}/by_layer.csv",
        baselines=expand(
            f"{RESULTS}/read/{{{{model}}}}/{{{{template}}}}/{{task}}/baselines.parquet",
            task=config["tasks"],
        ),
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/curves.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/curves.log",
    benchmark:
        f"{BENCHMARKS}/score_curves/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.curves"),
    shell:
        recorded(
            "score_curves",
            "python -m taskvectors.score.curves --by-layer {input.by_layer} --baselines {input.baselines} "
            "--tasks {params.tasks} --out {output} --log {log}",
        )


rule score_tsne:
    input:
        expand(
            f"{RESULTS}/read/{{{{model}}}}/{{{{template}}}}/{{task}}/activations.safetensors",
            task=config["tasks"],
        ),
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/tsne.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/tsne.log",
    benchmark:
        f"{BENCHMARKS}/score_tsne/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.tsne"),
    shell:
        recorded(
            "score_tsne",
            "python -m taskvectors.score.tsne --activations {input} "
            "--tasks {params.tasks} --out {output} --log {log}",
        )


# What the delimiter decodes to at every layer, for Table 2 and Figures 3 and 4.
rule decode:
    input:
        activations=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/activations.safetensors",
        baselines=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/baselines.parquet",
        lens=f"{RESULTS}/read/{{model}}/lens.safetensors",
        model=lambda wildcards: model_folder(wildcards.model),
        tasks=ancient("resources/tasks.yaml"),  # its words that count are a param
    output:
        phases=f"{RESULTS}/score/{{model}}/{{template}}/{{task}}/phases.csv",
        tops=f"{RESULTS}/score/{{model}}/{{template}}/{{task}}/tops.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/{{task}}/decode.log",
    benchmark:
        f"{BENCHMARKS}/decode/{{model}}/{{template}}/{{task}}.jsonl"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=decode_memory,
        runtime=job_runtime,
    params:
        out=subpath(output.tops, parent=True),
        tokens=lambda wildcards: json.dumps(TASKS[wildcards.task].tokens, sort_keys=True),
        code=code_hash("taskvectors.score.decode"),
    shell:
        recorded(
            "decode",
            "python -m taskvectors.score.decode --activations {input.activations} "
            "--baselines {input.baselines} --lens {input.lens} "
            "--tokenizer {input.model}/tokenizer.json --tasks {input.tasks} "
            "--task {wildcards.task} --out {params.out} --log {log}",
            "tokens",
        )


rule score_evolution:
    input:
        phases=expand(
            f"{RESULTS}/score/{{{{model}}}}/{{{{template}}}}/{{task}}/phases.csv",
            task=config["tasks"],
        ),
        tops=expand(
            f"{RESULTS}/score/{{{{model}}}}/{{{{template}}}}/{{task}}/tops.csv",
            task=config["tasks"],
        ),
    output:
        phases=f"{RESULTS}/score/{{model}}/{{template}}/phases.csv",
        tops=f"{RESULTS}/score/{{model}}/{{template}}/tops.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/evolution.log",
    benchmark:
        f"{BENCHMARKS}/score_evolution/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        out=subpath(output.tops, parent=True),
        code=code_hash("taskvectors.score.evolution"),
    shell:
        recorded(
            "score_evolution",
            "python -m taskvectors.score.evolution --phases {input.phases} --tops {input.tops} "
            "--tasks {params.tasks} --out {params.out} --log {log}",
        )


# All that a claim may be measured on; what this experiment does not make has no file.
CLAIM_INPUTS = {
    "claims": "resources/paper/claims.yaml",
    "models": "resources/models.yaml",
    "paper": sorted(str(path) for path in (RESOURCES / "paper").glob("*.csv")),
    "examples": expand(f"{RESULTS}/curate/{{task}}/test.jsonl", task=config["tasks"]),
    "exemplars": expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    "baselines": of_each("{results}/read/{model}/{template}/{task}/baselines.parquet"),
    "patched": of_each("{results}/write/{model}/{template}/{task}/test.parquet"),
    "phases": of_each("{results}/score/{model}/{template}/{task}/phases.csv"),
    "decodings": of_each("{results}/score/{model}/{template}/{task}/decodings.csv"),
    "places": of_each("{results}/score/{model}/{template}/tsne.csv"),
    "by_layer": of_each("{results}/score/{model}/{template}/by_layer.csv"),
    "layer": of_each("{results}/score/{model}/{template}/layer.json"),
    "scores": of_each("{results}/score/{model}/{each_template}/accuracy.csv"),
    "descriptions": of_each("{results}/score/{model}/{template}/descriptions.csv"),
    "transferred": of_each("{results}/score/{transfer}/accuracy.csv"),
    "similarity": of_each("{results}/score/{transfer}/similarity.csv"),
}
if "table_conflict" in ITEMS:
    CLAIM_INPUTS["conflict"] = of_each("{results}/score/{model}/{template}/conflict.csv")


rule score_claims:
    input:
        **CLAIM_INPUTS,
    output:
        f"{RESULTS}/score/claims.csv",
    log:
        f"{LOGS}/score/claims.log",
    benchmark:
        f"{BENCHMARKS}/score_claims/all.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        models=MODELS,
        tasks=config["tasks"],
        templates=config["templates"],
        vlms=list(LANGUAGE_MODELS),
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.claims"),
    shell:
        recorded(
            "score_claims",
            "python -m taskvectors.score.claims --models {params.models} --tasks {params.tasks} "
            "--templates {params.templates} --vlms {params.vlms} "
            "--resamples {params.resamples} --seed {params.seed} "
            + named_inputs(CLAIM_INPUTS)
            + "--out {output} --log {log}",
        )
