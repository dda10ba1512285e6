"""Stage read: activations at the delimiters, and the prompting baselines."""
