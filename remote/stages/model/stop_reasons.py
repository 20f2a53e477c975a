"""The reasons why a generated response ended."""

DELIMITED, ENDED, CUT_OFF = "delimiter", "end of text", "length"
