"""Django's PostgreSQL, with a cheaper look at whether a pooled connection still lives.

psycopg's pool would ask the server before each use, which is a round trip for every request. A server that ends says so
on the connection's socket, or the system closes it: looking whether there is anything to read costs no round trip. The
server itself is asked when something is there, and once a second, for a peer that is gone without a word.
"""
