"""What can end a generated response."""

DELIMITED, ENDED, CUT_OFF = "delimiter", "end of text", "length"
