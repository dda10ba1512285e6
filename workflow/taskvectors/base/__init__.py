"""What every room stands on: files, tables, images, schemas, progress, errors."""
