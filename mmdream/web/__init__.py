"""What every page of ours is served by: who may ask, how a request is read, and where it listens."""
