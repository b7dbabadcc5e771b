"""Doxygen's input filter: the comments of our headers, which are plain C, as doxygen wants them.

A comment on lines of its own describes what follows; the first one, and one before an empty line, are about the file. One
behind code describes that code, behind an opening brace all that is in the braces; it goes on in a comment below it that
begins in the same column. Section marks (/* ---- Title ---- */) are left alone.
"""

import re
import sys

BEHIND = re.compile(r"^(?P<code>.*\S\s*)/\*(?P<text>(?:(?!\*/).)*)\*/\s*$")
ALONE = re.compile(r"^(?P<indent>\s+)/\*(?P<text>(?:(?!\*/).)*)\*/\s*$")


def filtered(text):
    lines = text.split("\n")
    out, column, at = [], None, 0
    while at < len(lines):
        line = lines[at]
        own, behind, alone = line.lstrip().startswith("/*"), BEHIND.match(line), ALONE.match(line)
        if behind and not own and not line.startswith("#"):
            column, text = len(behind["code"]), behind["text"]
            while at + 1 < len(lines) and (more := ALONE.match(lines[at + 1])) and len(more["indent"]) == column:
                text, at = text.rstrip() + more["text"], at + 1
            opens = behind["code"].rstrip().endswith("{")
            is_forward = re.match(r"^struct \w+;", line)  # Its comment is about the declarations to come.
            after = behind["code"] if is_forward else f"{behind['code']}/**<{text}*/"
            out.append(f"/**{text}*/ {behind['code']}" if opens else after)
        elif own and not line.lstrip().startswith("/* ----"):
            end = next(i for i in range(at, len(lines)) if "*/" in lines[i])
            about_file = at == 0 or (end + 1 < len(lines) and not lines[end + 1].strip())
            out.append(line.replace("/*", "/** @file\n *" if about_file else "/**", 1))
            out.extend(lines[at + 1 : end + 1])
            at = end
        else:
            out.append(line)
        at += 1
    return re.sub(r"`(\w+)`", r"@c \1", "\n".join(out))


if __name__ == "__main__":
    sys.stdout.write(filtered(open(sys.argv[1], encoding="utf-8").read()))
