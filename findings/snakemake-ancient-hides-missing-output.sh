#!/usr/bin/env bash
# Snakemake plans too little where a job has an input that is marked `ancient` and made by another
# rule. If that other job has to run again, all that depends on it is taken for planned with it; but
# an ancient file does not trigger what depends on it, and that is then not looked at any more, even
# where its output is missing. The run ends with status 0 without the file that it was asked for; the
# same command once more makes it.
# Seen with snakemake 9.27.1, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet snakemake==9.27.1
cd "$folder"
cat > Snakefile <<'SNAKEFILE'
rule last:
    input: "second.txt"
    output: "last.txt"
    shell: "cp {input} {output}"

rule second:
    input: ancient("first.txt")
    output: "second.txt"
    shell: "cp {input} {output}"

rule first:
    input: "given.txt"
    output: "first.txt"
    shell: "cp {input} {output}"
SNAKEFILE
run() { PATH="$folder/venv/bin:$PATH" snakemake --quiet all --cores 1 --nocolor; }
echo once > given.txt
run
rm second.txt last.txt
sleep 1.1
echo again > given.txt
run
status=$?
echo "snakemake $("$folder/venv/bin/snakemake" --version): status $status, files: $(ls ./*.txt | xargs)"
[ "$status" = 0 ] && [ ! -e last.txt ] && [ "$(cat first.txt)" = again ]
run
echo "the same command once more: $(ls ./*.txt | xargs)"
[ -e last.txt ]
