"""A film's work on many processes and machines, by dask.distributed."""
