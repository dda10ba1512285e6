# Stage average: task vectors, the mean activations over the validation prompts; means over
# some of the prompts, and ensembles with the instruction's vector.
#
# REQUIRED INPUTS: read/<model>/<template>/<task>/activations.safetensors
# OUTPUTS:         results/<experiment>/average/<model>/<template>/<task>/vectors.safetensors


rule average:
    input:
        f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/activations.safetensors",
    output:
        f"{RESULTS}/average/{{model}}/{{template}}/{{task}}/vectors.safetensors",
    log:
        f"{LOGS}/average/{{model}}/{{template}}/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/average/{{model}}/{{template}}/{{task}}.jsonl"
    priority: queries
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        exemplars=config["exemplars"],
        code=code_hash("taskvectors.average"),
    shell:
        recorded(
            "average",
            "python -m taskvectors.average --activations {input} --exemplars {params.exemplars} "
            "--out {output} --log {log}",
        )
