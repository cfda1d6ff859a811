"""Gradient ascent on an array, and every objective."""
