"""A walk through a generator's pictures: its way through latents and classes, and the film of it to dream."""
