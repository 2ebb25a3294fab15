"""Parity: live, simulation and replay are one set of rules. The same tape through both loops gives the same
decisions.
"""
