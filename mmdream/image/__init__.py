"""Dreams and styles of one picture: octaves, gradients, tiles, spectra, statistics of style."""
