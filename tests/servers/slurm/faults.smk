# Jobs for a bad day. Each notes its tries and whether it is at work twice at once; most sleep in
# their first try until something befalls them.
PARTITIONS = {
    "refused": "drained",
    "preempted_for_good": "cancels",
    "preempted": "requeues",
}
ON_A_GPU = ["preempted_for_good", "preempted"]
# Which jobs begin when which are done.
PARTS = [
    ["cancelled", "refused", "preempted_for_good", "preempted"],
    ["away"],
    ["hung"],
    ["node_died", "node_died_for_good"],
    ["forgotten"],
]


def before(wildcards):
    part = next((n for n, part in enumerate(PARTS) if wildcards.fault in part), 0)
    files = [f"day/{fault}" for fault in PARTS[part - 1]] if part else []
    return files + (["day/hung.ready"] if wildcards.fault == "hung" else [])


rule day:
    input:
        [f"day/{fault}" for part in PARTS for fault in part],


rule fault:
    input:
        before,
    output:
        "day/{fault,[a-z_]+}",
    resources:
        mem_mb=500,
        slurm_partition=lambda wildcards: PARTITIONS.get(wildcards.fault, "cpu"),
        gpu=lambda wildcards: 1 if wildcards.fault in ON_A_GPU else 0,
        slurm_extra=lambda wildcards: (
            "--no-requeue" if wildcards.fault == "node_died_for_good" else ""
        ),
    params:
        seconds=lambda wildcards: {"refused": 0, "hung": 0, "away": 8}.get(wildcards.fault, 600),
    shell:
        "exec 9>> {wildcards.fault}.lock; flock -n 9 || echo {wildcards.fault} >> twice.log; "
        "touch tries.log; before=$(grep -c '^{wildcards.fault} ' tries.log || true); "
        "echo {wildcards.fault} $SLURM_JOB_ID >> tries.log; echo partial > {output}; "
        "test $before -gt 0 || sleep {params.seconds}; echo whole > {output}"


# Its end, where Snakemake runs, makes Snakemake submit a job at a bad moment.
rule ready:
    input:
        "day/away",
    output:
        "day/hung.ready",
    localrule: True
    shell:
        "until test -e go; do sleep 0.2; done; touch {output}"
