"""The reference vectors against our code: `python -m tests.vectors DIR`.

One module per group of families, each with a dict `FAMILIES` of functions from a whole vector to our result in the
vector's shape; the table of them stands in `families.py`.
"""
