"""Live play: a camera, a film at its pace or a stream, dreamed in causal order while the clock runs."""
