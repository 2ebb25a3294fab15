"""The contract of the HTTP interface: every route, method and status of `tests/data/contract.json` has a case here.

`python -m tests.contract --coverage` runs the cases against the real stack and says what is missing.
"""
