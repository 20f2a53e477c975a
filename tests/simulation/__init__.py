"""Whole histories of podctl against a simulated cloud, in virtual time: one seed, one history.

Real: the loop, the planner, observer, executor and recorder, journal and ledger (SQLite in memory)
and the provider's retries. Simulated: the provider, its pods with their guards and jobs, the
network between, and the host, on which podctl is killed, suspended, or never started again.
"""
