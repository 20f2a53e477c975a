"""A stage rehearsed at no cost: the user's own config, code and data on the emulator.

rehearsal        the phases in order, each with PASS, FAIL or SKIP and a remedy
run              one run of the stage: its process, its interruption and its end
report           what a finished rehearsal shows
scratch_project  the project of the rehearsal, derived from the user's, which is only read
overrides        the reduced parameters of podctl's own stages
upstream         stand-ins for the outputs of earlier stages that are missing
emulated_cloud   the emulator, and what its pod's files show of the job
findings         which failures of criteria a small run explains
"""
