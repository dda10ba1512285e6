# `snakemake cost`: what the experiment took, by rule and model. Not part of `all`.
#
# REQUIRED INPUTS: results/<experiment>/benchmarks/, which every job adds to
# OUTPUTS:         results/<experiment>/cost/cost.{csv,md,pdf,png}


rule cost:
    output:
        multiext(f"{RESULTS}/cost/cost", ".csv", ".md", ".pdf", ".png"),
    log:
        f"{LOGS}/cost.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        benchmarks=BENCHMARKS,
        experiment=config["experiment"],
        # No inputs: as such, measurements would make their rules run again.
        measured=measurements(),
        stem=subpath(output[0], strip_suffix=".csv"),
        code=code_hash("taskvectors.audit.cost"),
    shell:
        recorded(
            "cost",
            "python -m taskvectors.audit.cost --benchmarks {params.benchmarks} "
            "--experiment {params.experiment} --out {params.stem} --log {log}",
        )
