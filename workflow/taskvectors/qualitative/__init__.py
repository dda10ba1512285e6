"""Stage qualitative: what accuracies on the six tasks do not show."""
