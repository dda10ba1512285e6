"""Stage prepare: make or fetch the models that the other stages read and patch."""
