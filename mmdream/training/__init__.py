"""A network retrained on folders of classes: data, fitting, evaluation, export."""
