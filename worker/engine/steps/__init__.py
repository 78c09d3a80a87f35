"""The four outside effects of a job's life: claim, call with no transaction open, record under the fence."""
