"""A browser's or program's name in words, for the list of sessions. A hint for a person, never a decision."""

import re

_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
LENGTH_MAX = 40


def words(user_agent: str) -> str:
    """Such as "Chrome on Windows", "python-requests" or "unknown program"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser:
        return f"{browser} on {system}" if system else browser
    program = re.split(r"[/\s(]", user_agent.strip(), maxsplit=1)[0]
    return program[:LENGTH_MAX] or "unknown program"
