"""Stage heads: which attention heads carry a task, and what the sums of their outputs do."""
