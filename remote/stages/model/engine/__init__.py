"""Continuous decoding: rows that end make room for the next ones at once."""
