"""
Draw the table of statuses into the README, between its two markers.

Run it after a change of the table: ``python docs/make_diagram.py``. A test says when that was forgotten.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

README: Final = Path(__file__).parent.parent / "README.md"
BEGIN: Final = "<!-- status diagram: begin -->"
END: Final = "<!-- status diagram: end -->"


def with_diagram(text: str, diagram: str) -> str:
    """
    Return a text whose block between the markers is the diagram.

    Raises
    ------
    ValueError
        The text does not have each marker once, the first before the second.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise ValueError(f"{BEGIN} and {END} are needed once each, in this order.")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n```mermaid\n{diagram}\n```\n{END}{after}"


def main() -> None:
    """Rewrite the README."""
    sys.path.insert(0, str(README.parent))  # the table of this checkout, whatever is installed
    from bgdl_jupyter.status import diagram

    README.write_text(with_diagram(README.read_text("utf-8"), diagram()), encoding="utf-8")


if __name__ == "__main__":
    main()
