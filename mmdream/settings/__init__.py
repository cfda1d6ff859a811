"""Every setting, defined once: recipe, schedule, targets, passes, and their files; reports. No NumPy."""
