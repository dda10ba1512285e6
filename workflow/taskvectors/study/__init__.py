"""What is studied: configuration, tasks, entities, prompts, datasets, names of vectors."""
