"""A small closed world and a base model that learned it: the whole plan on a CPU in minutes."""
