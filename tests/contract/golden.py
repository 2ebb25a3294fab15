"""Answers as text: the committed one per endpoint, with what differs from run to run replaced by placeholders.

Names, their order, types, decimals and the form of times stay; ids keep their sameness (`<id 1>` twice is the same id).
Numbers are compared as they were written: 1.50 is not 1.5.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "contract" / "golden"
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_CELL_TIME = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b")
_PLACEHOLDERS = (
    (re.compile(r'(?<=")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(?=\\?")'), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"), "<time of the database>"),
    (re.compile(r"\b10\.\d+\.\d+\.\d+\b"), "<address>"),
    # What is made at random and shown once: its name stays.
    (re.compile(r'("(?:secret|signingSecret|ticket|inviteToken|challenge|challengeId)": )"[^"]+"'), r'\1"<secret>"'),
    (re.compile(r'("id": )"[\w-]{43}"'), r'\1"<handle>"'),
    (re.compile(r'("prefix": )"(?!nex_)[^"]+"'), r'\1"<prefix>"'),
    (re.compile(r"(?<=/(?:hooks)/)[\w-]{20,}|(?<=/invitation/)[\w-]{20,}|(?<=secret=)[A-Z2-7]{32}"), "<secret>"),
    (re.compile(r'(?<= )"\d{8}"(?=,?\n)'), '"<code>"'),
    (re.compile(r'("id": )\d+(?=,\n +"at")'), r"\1<number>"),
    (re.compile(r'("holdingSeconds\w+": ")[\d.]+'), r"\1<seconds>"),
    (re.compile(r"\bsim_[1-9A-HJ-NP-Za-km-z]{30,44}"), "<simulated wallet>"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"\bnex_[\w-]{32}\b"), "<key>"),
    (re.compile(r"\bnex_[\w-]{4}(?=\")"), "<prefix>"),
    # Written by another thread after the answer; there or not there yet.
    (re.compile(r',\n *"published": ("<time>"|\d+)'), ""),
    (re.compile(r'("(?:received|verdict|order_committed|quoted|submitted|filled)": )\d+'), r"\1<number>"),
    (re.compile(r'("(?:duration|latency|uptime|ageSeconds)": )[\d.]+'), r"\1<number>"),
)


class _Literal(str):
    """A number as it stood in the answer."""


def pretty(value: Any, indent: str = "") -> str:
    """JSON with one member per line and numbers as they were written."""
    inner = indent + "  "
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(key)}: {pretty(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + pretty(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def normalised(response: Any) -> str:
    """The body of an answer, ready to be compared."""
    if response.headers.get("Content-Type", "").startswith("application/json"):
        value = json.loads(response.content, parse_float=_Literal, parse_int=_Literal)
    else:
        lines = [_CELL_TIME.sub("<time>", line) for line in text_of(response).splitlines()]
        value = {"contentType": response.headers.get("Content-Type"), "lines": lines}
    text = pretty(value)
    known: dict[str, str] = {}
    text = _ID.sub(lambda match: known.setdefault(match[0], f"<id {len(known) + 1}>"), text)
    for pattern, placeholder in _PLACEHOLDERS:
        text = pattern.sub(placeholder, text)
    return text + "\n"


def text_of(response: Any) -> str:
    """The body as text, streamed or not."""
    if getattr(response, "streaming", False):
        return b"".join(response.streaming_content).decode()
    return str(response.content.decode())


def file_of(case: Any) -> Path:
    """The golden file of a case: method, path and note in one name."""
    name = re.sub(r"[^\w.-]+", "_", f"{case.method} {case.template} {case.note}".replace("/api/v1/", "").strip())
    return FOLDER / f"{name.strip('_').lower()}.json"


def compare(case: Any, response: Any) -> None:
    """Fails when the answer is not the committed one; `CONTRACT_WRITE=1` commits it instead."""
    file, text = file_of(case), normalised(response)
    if os.environ.get("CONTRACT_WRITE") == "1":
        FOLDER.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert file.exists(), f"no golden file {file.name}: write it with `python -m tests.contract --write`, then read it"
    assert text == file.read_text()
