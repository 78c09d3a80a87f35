"""Ended batches as Parquet files in the store: written, proved, removed from the tables, and read back for reports."""
