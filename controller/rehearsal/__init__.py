"""A stage rehearsed at no cost: the user's own config, code and data on the emulator.

play       the phases in order, each one line: PASS, FAIL or SKIP, with the mend
scratch    the project of the rehearsal, derived from the user's, which is only read
sizes      the few steps that podctl's own stages take
earlier    what earlier stages would have left, where it is not there
stagecraft the embedded cloud, and what its pod's files say of the job
findings   which of the criteria's failures a small run explains
"""
