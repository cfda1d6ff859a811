"""What a film will take: time, memory, disk, and the time that is left."""
