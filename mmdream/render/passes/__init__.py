"""What one pass does to an image, in one form for stills, films, zooms and galleries: a dream, or a style."""
