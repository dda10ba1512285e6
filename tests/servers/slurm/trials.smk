# Rules that the tests append to the Snakefile: jobs that are cancelled, run out of time, or fail.


rule trials:
    input:
        "trials/slow",
        "trials/cancelled",


rule slow:
    output:
        "trials/slow",
    resources:
        runtime=lambda wildcards, attempt: attempt,
    shell:
        "echo slow {resources.runtime} $SLURM_JOB_ID >> trials.log; echo partial > {output}; "
        "test {resources.runtime} -gt 1 || sleep 600; echo whole > {output}"


rule cancelled:
    output:
        "trials/cancelled",
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
    shell:
        "echo cancelled {resources.mem_mb} $SLURM_JOB_ID >> trials.log; echo partial > {output}; "
        "test {resources.mem_mb} -gt 500 || sleep 600; echo whole > {output}"


rule ready:
    output:
        "trials/ready",
    shell:
        "env > {output}"
