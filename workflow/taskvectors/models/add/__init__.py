"""A model of a hub or a folder, looked at without its weights and added to the known ones."""
