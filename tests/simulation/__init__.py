"""Whole histories of podctl against a simulated cloud, in virtual time: one seed, one history.

What is real: the loop, the planner, eyes and hands, the books, journal and ledger (SQLite in
memory), and the provider's retries. What is simulated: the provider, its pods with their guards and
jobs, the network between, and the laptop, which is killed, closed, or never comes back.
"""
