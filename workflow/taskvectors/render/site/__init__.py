"""The results site: every table and figure on one page that needs no network."""
