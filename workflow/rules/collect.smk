# Stage collect: one picture per entity, with a manifest of where each came from.
#
# REQUIRED INPUTS: resources/entities/*.csv; the packages in envs/data.txt
# OUTPUTS:         results/<experiment>/collect/<rendering>/{manifest.csv,ATTRIBUTION.md,pictures/}


rule collect:
    input:
        tables=sorted({entity_table(task) for task in TASKS}),
    output:
        manifest=f"{RESULTS}/collect/{{rendering}}/manifest.csv",
        attribution=f"{RESULTS}/collect/{{rendering}}/ATTRIBUTION.md",
        pictures=directory(f"{RESULTS}/collect/{{rendering}}/pictures"),
    log:
        f"{LOGS}/collect/{{rendering}}.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        out=subpath(output.manifest, parent=True),
        code=code_hash("taskvectors.collect"),
    shell:
        "python -m taskvectors.collect --rendering {wildcards.rendering} "
        "--entities {input.tables} --out {params.out} --log {log}"
