"""The abuse table: twelve subjects, each with its attacks, what each meets, and the test that proves it.

Most attacks are requests in `tests.security.attacks`; what needs a real server, a socket or a file stands in a test of
its own and is named here. `python -m tests.security` runs every row and prints the table.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.security.attacks import ATTACKS

TESTS = Path(__file__).parents[1]
HERE = "security/test_abuse.py::test_an_attack_meets_what_the_table_says"
SUBJECTS: dict[str, tuple[str, ...]] = {
    "brute force": (
        "passwords guessed from one address",
        "passwords guessed slower than the limit",
        "the right password while locked",
        "passwords guessed for an e-mail nobody has",
    ),
    "token reuse": (
        "refresh token used again: the session ends",
        "refresh token as access token",
        "access token as refresh token",
        "token after log-out",
        "token after a password change",
        "token with the session of another",
    ),
    "revoked key": ("revoked key", "key with another last character", "hash of a key as key"),
    "expired ticket": (),
    "cross-workspace ids": ("agent of another workspace", "agent given to another workspace in its body"),
    "oversized frames": (),
    "slow bodies": (),
    "header injection": ("an Idempotency-Key with a line end", "a request id with a header in it"),
    "JSON bombs": (
        "JSON nested 100,000 deep",
        "JSON nested 40 deep",
        "number of nine characters and a million digits",
        "number of 100,000 digits",
        "a compressed body",
    ),
    "right-to-left and emoji symbols": ("a symbol written from right to left", "a symbol of emoji"),
    "clock skew": ("token from the future (clock skew)", "expired token"),
    "formula cells": (),
}
"""Attacks by subject; those of no subject follow the twelve."""


@dataclass(frozen=True, slots=True)
class Proof:
    """An attack that a test of its own makes; `meets` is said in its words: status, code, or how a socket closes."""

    subject: str
    name: str
    meets: str
    test: str


SERVER, SOCKETS = "security/test_abuse_server.py::test_", "streams/test_ws_limits.py::test_"
PROOFS = (
    Proof("expired ticket", "a ticket after its 30 seconds", "403", SOCKETS + "a_ticket_lasts_thirty_seconds"),
    Proof("expired ticket", "a ticket twice", "403", SOCKETS + "a_ticket_of_the_api_opens_one_socket"),
    Proof(
        "cross-workspace ids",
        "every id of another on every route (the matrix)",
        "what nobody has",
        "security/test_ownership.py::test_a_stranger_finds_nothing_of_anothers",
    ),
    Proof(
        "oversized frames",
        "a frame of 64 KiB and a byte",
        "close 1009",
        SOCKETS + "a_frame_above_64_kib_closes_and_one_of_64_kib_does_not",
    ),
    Proof(
        "oversized frames",
        "201 frames in ten seconds",
        "close 1008",
        SOCKETS + "a_flood_of_messages_is_told_and_closed",
    ),
    Proof(
        "slow bodies",
        "a body of one byte a second",
        "408 REQUEST_TIMEOUT",
        SERVER + "a_body_of_one_byte_a_second_is_cut",
    ),
    Proof("slow bodies", "headers of one line a second", "408", SERVER + "headers_of_one_line_a_second_are_cut"),
    Proof("slow bodies", "a first line that never ends", "408", SERVER + "a_first_line_that_never_ends_is_cut"),
    Proof(
        "slow bodies",
        "90 MB announced",
        "413 PAYLOAD_TOO_LARGE",
        SERVER + "a_body_too_large_is_refused_before_it_is_read",
    ),
    Proof("slow bodies", "chunks without an end", "413", SERVER + "a_body_without_a_length_is_cut_at_the_limit"),
    Proof("header injection", "NUL in a value, two lengths, …", "400", SERVER + "broken_requests_are_400"),
    Proof(
        "right-to-left and emoji symbols",
        "such a symbol, later shown",
        "201",
        "security/test_abuse.py::test_symbols_are_stored_whole_and_shown_as_text",
    ),
    Proof(
        "clock skew",
        "a signed message of 61 s ago or ahead",
        "SIGNATURE_EXPIRED",
        "integration/test_signal_hooks.py::test_a_signed_hook_believes_young_messages_with_its_signature_once",
    ),
    Proof(
        "formula cells",
        "=1+1, @SUM, a tab: a symbol in an export",
        "200, quoted",
        "security/test_abuse.py::test_formula_cells_of_exports_are_text",
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    subject: str
    name: str
    meets: str
    test: str


def rows() -> Iterator[Row]:
    """The whole table, subject by subject, then what belongs to none."""
    attacks = {attack.name: f"{attack.status} {attack.code}".strip() for attack in ATTACKS}
    for subject, names in SUBJECTS.items():
        for name in names:
            yield Row(subject, name, attacks.pop(name), HERE)
        for proof in PROOFS:
            if proof.subject == subject:
                yield Row(subject, proof.name, proof.meets, proof.test)
    for name, meets in attacks.items():
        yield Row("also", name, meets, HERE)


def lines() -> list[str]:
    """The table as text."""
    found = list(rows())
    width, outcome = (max(len(getattr(row, field)) for row in found) for field in ("name", "meets"))
    text = [f"abuse: {len(SUBJECTS)} subjects, {len(found)} attacks"]
    before = ""
    for row in found:
        text += [] if row.subject == before else [row.subject]
        shown = "" if row.test == HERE else f"  {row.test}"
        text.append(f"  {row.name:<{width}}  {row.meets:<{outcome}}{shown}".rstrip())
        before = row.subject
    return text


def source_of(test: str) -> str:
    """The text of a test function; empty when there is none of that name."""
    file, _, name = test.partition("::")
    text = (TESTS / file).read_text() if (TESTS / file).is_file() else ""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return ast.get_source_segment(text, node) or ""
    return ""


def untrue(proof: Proof) -> list[str]:
    """The statuses and codes of a row that its test does not look for; the name of a test that is gone."""
    source = source_of(proof.test)
    if not source:
        return [proof.test]
    return [word for word in re.findall(r"\d{3,4}|[A-Z_]{4,}", proof.meets) if word not in source]
