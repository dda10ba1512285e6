"""Stage curate: a dataset per task and split, its exemplar sets, and a decisions log."""
