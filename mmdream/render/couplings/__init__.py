"""What a film's picture goes by of its sound, and its sound of its picture."""
