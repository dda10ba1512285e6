"""What jobs with a model share: their arguments, loading, encoded queries."""
