"""What every folder may use: errors, events, files, threads, random numbers, downloads."""
