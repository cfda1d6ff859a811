"""Data sets to train on: cards, downloads, unpacking, layouts, splits, checks."""
