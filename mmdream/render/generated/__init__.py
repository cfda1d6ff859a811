"""What is made of generators beyond one start: latents that climb, walks to a song, events that sound."""
