"""Dreams and styles of sound: spectra, filter banks, chunks, resynthesis, loudness, mastering."""
