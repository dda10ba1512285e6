"""Where every file is from: records, lineage, comparison of runs, crates and licences."""
