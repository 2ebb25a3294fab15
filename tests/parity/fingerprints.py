"""The decisions that every run of the matrix must make: number, hash and equity, committed as `fingerprints.json`.

Both loops of one commit can drift together; this data is what the loops are held against. It is made anew by
`python -m tests.parity.matrix --full --renew`, and only where a change alters decisions on purpose.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("fingerprints.json")
_KEYS = ("decisions", "decision_hash", "equity_lamports")


def expected() -> dict[str, dict[str, Any]]:
    """The committed fingerprints, by the name of the run."""
    known: dict[str, dict[str, Any]] = json.loads(FILE.read_text())
    return known


def of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of a report must stay equal."""
    return {key: report[key] for key in _KEYS}


def drift(reports: Sequence[tuple[object, Mapping[str, Any]]], known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Runs that decided otherwise than is known of them, and runs of which nothing is known, as sentences."""
    lines = []
    for run, report in reports:
        wanted, got = known.get(str(run)), of(report)
        if wanted is None:
            lines.append(f"{run}: no fingerprint is known")
        elif wanted != got:
            lines.append(f"{run} ({report['through']}): {got} instead of {dict(wanted)}")
    return lines


def renew(reports: Sequence[tuple[object, Mapping[str, Any]]]) -> None:
    """Write the fingerprints of these runs; those of other runs stay."""
    known = expected() if FILE.exists() else {}
    known |= {str(run): of(report) for run, report in reports}
    lines = [f"  {json.dumps(run)}: {json.dumps(known[run])}" for run in sorted(known)]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
