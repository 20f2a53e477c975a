"""Real podctl processes, struck at every point of a run, and judged without their own word."""
