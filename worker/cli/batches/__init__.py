"""Commands on batches."""
