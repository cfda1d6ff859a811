"""Sounds that generators make: a dream's beginning, and grains."""
