"""A project's own package."""
