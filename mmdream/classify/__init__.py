"""What networks see and hear in a file."""
