"""Stage render: every table and figure, each beside the published number, without a model."""
