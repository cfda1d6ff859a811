"""What generators make beyond one picture to begin on: events that sound."""
