"""Real podctl processes, interrupted at every point of a run, checked without their output."""
