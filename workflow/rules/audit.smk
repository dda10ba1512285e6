# Stage audit: the experiment as a crate to share, and the licences of what it shows. Not part
# of `all`. To ask where a file is from: `python -m taskvectors.audit trace <file>`.
#
# REQUIRED INPUTS: everything that the experiment shows, and its records
# OUTPUTS:         results/<experiment>/ATTRIBUTION.html
#                  results/<experiment>/{ro-crate-metadata.json,source/}


rule attribution:
    input:
        manifests=[manifest(rendering) for rendering in ALL_RENDERINGS],
        datasets=DATASETS,
        models=model_folders(),
        packages="envs/data.txt",
        figures=[f"{item_stem(item)}.pdf" for item in ITEMS if item.startswith("figure")],
    output:
        f"{RESULTS}/ATTRIBUTION.html",
    log:
        f"{LOGS}/attribution.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        experiment=config["experiment"],
        code=code_hash("taskvectors.audit.attribution"),
    shell:
        recorded(
            "attribution",
            "python -m taskvectors.audit.attribution --experiment {params.experiment} "
            "--manifests {input.manifests} --datasets {input.datasets} --models {input.models} "
            "--packages {input.packages} --figures {input.figures} --out {output} --log {log}",
        )


rule crate:
    input:
        shown=[item_files(item) for item in ITEMS],
        config=f"{RESULTS}/run_config.yaml",
        croissant=f"{RESULTS}/curate/croissant.json",
        attribution=f"{RESULTS}/ATTRIBUTION.html",
    output:
        metadata=f"{RESULTS}/ro-crate-metadata.json",
        source=directory(f"{RESULTS}/source"),
    log:
        f"{LOGS}/crate.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        results=lambda wildcards: RESULTS,
        code=code_hash("taskvectors.audit.crate"),
    shell:
        recorded(
            "crate",
            "python -m taskvectors.audit.crate --results {params.results} --shown {input} "
            "--log {log}",
        )
