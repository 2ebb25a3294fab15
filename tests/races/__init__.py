"""Everything at one moment, against a whole fleet: two web processes, two workers of each kind, two price engines."""
