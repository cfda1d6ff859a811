"""What a generator's pictures are used for beyond one start: latents that climb, and walks to a song."""
