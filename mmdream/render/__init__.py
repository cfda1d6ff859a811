"""The pipelines from source to result: films, pictures, sounds, zooms."""
