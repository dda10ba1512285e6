# Stage average: task vectors, the mean activations over the validation prompts; means over
# some of the prompts, and ensembles with the instruction's vector.
#
# REQUIRED INPUTS: read/<model>/<template>/<task>/activations.safetensors
# OUTPUTS:         results/<experiment>/average/<model>/<template>/<task>/vectors.safetensors


rule average:
    input:
        f"{RESULTS}/read/{TASK_JOB}/activations.safetensors",
    output:
        f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
    log:
        f"{LOGS}/average/{TASK_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/average/{TASK_JOB}.jsonl"
    priority: queries
    localrule: True
    params:
        exemplars=config["exemplars"],
        code=code_hash("taskvectors.average"),
    shell:
        recorded(
            *("average", "average"),
            activations="input",
            exemplars="params.exemplars",
            out="output",
        )
