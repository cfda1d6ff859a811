"""Recorded events laid into a sound's dream: cutting them, choosing where they go, laying them in."""
