"""File names of data sets, runs and tasks: letters, digits and . _ + @ - only, never hidden, never long.

Names come from command lines, files and other people's folders. Here they become file names: nothing in one leads to
another folder, stands for other names in a pattern, or is too long for a file system.
"""

import hashlib
import re

LONGEST = 120  # bytes; what a file is called besides (source, seed, key, .tmp) must fit behind, within 255
OTHER = re.compile(r"[^\w@+.-]+")


def plain_name(text: str) -> str:
    """The name with a dash for any other character; different names may become equal."""
    kept = OTHER.sub("-", text).encode(errors="ignore")[:LONGEST].decode(errors="ignore")
    return "_" + kept if kept[:1] in ("", ".", "-") else kept


def file_name(text: str) -> str:
    """The name itself if it is a plain one; else a plain one and eight digits of its hash."""
    kept = plain_name(text)
    return kept if kept == text else f"{kept}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}"


def path_name(text: str) -> str:
    """A Minari id is a path already: D4RL/door/human-v2. Each of its parts is a file name."""
    return "/".join(map(file_name, text.split("/")))
