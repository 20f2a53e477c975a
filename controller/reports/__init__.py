"""Renders Markdown and HTML pages on the laptop from a stage's judged figures."""
