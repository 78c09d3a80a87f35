"""Batches of jobs: pause, cancel, caps, deadlines, retries, progress and results."""
