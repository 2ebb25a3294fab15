"""Kill -9 of every process of the trade path, at named points and at random times, and what must be true afterwards."""
