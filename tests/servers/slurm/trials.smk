# Rules that the tests append to the Snakefile: jobs that are cancelled, run out of time or of
# memory, or lose their node.


rule trials:
    input:
        "trials/slow",
        "trials/cancelled",
        "trials/hungry",
        "trials/lost",


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
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
    shell:
        "echo cancelled {resources.mem_mb} $SLURM_JOB_ID >> trials.log; echo partial > {output}; "
        "test {resources.mem_mb} -gt 1000 || sleep 600; echo whole > {output}"


rule hungry:
    output:
        "trials/hungry",
    resources:
        mem_mb=lambda wildcards, attempt: 1200 * attempt,
    shell:
        "echo hungry {resources.mem_mb} $SLURM_JOB_ID >> trials.log; echo partial > {output}; "
        "test {resources.mem_mb} -gt 1200 || "
        "python -c 'import time; held = bytes(range(100)) * 15_000_000; time.sleep(600)'; "
        "echo whole > {output}"


rule lost:
    output:
        "trials/lost",
    shell:
        "touch trials.log; before=$(grep -c lost trials.log || true); "
        "echo lost $before $SLURM_JOB_ID >> trials.log; echo partial > {output}; "
        "test $before -gt 0 || sleep 600; echo whole > {output}"


rule ready:
    output:
        "trials/ready",
    shell:
        "env > {output}"
