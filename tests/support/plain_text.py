"""The slow, obvious twin of `lsp_server.documents`: one string, split again for every question."""

import re

LINE_END = re.compile(r"\r\n|\r|\n")


def width(char, encoding):
    return {"utf-8": len(char.encode("utf-8", "surrogatepass")), "utf-16": 1 + (ord(char) > 0xFFFF), "utf-32": 1}[
        encoding
    ]


def line_bounds(text):
    starts = [0] + [m.end() for m in LINE_END.finditer(text)]
    ends = [m.start() for m in LINE_END.finditer(text)] + [len(text)]
    return list(zip(starts, ends, strict=True))


def offset(text, line, character, encoding):
    bounds = line_bounds(text)
    if line >= len(bounds):
        return len(text)
    start, end = bounds[line]
    for at in range(start, end):
        if character <= 0:
            return at
        character -= width(text[at], encoding)
    return end


def joined(text):
    """Surrogate halves that meet are one character, as in the editor."""
    return re.sub(
        "[\ud800-\udbff][\udc00-\udfff]",
        lambda m: chr(0x10000 + ((ord(m[0][0]) - 0xD800) << 10) + ord(m[0][1]) - 0xDC00),
        text,
    )


def replaced(text, start, end, new, encoding):
    a, b = sorted((offset(text, *start, encoding), offset(text, *end, encoding)))
    return joined(text[:a] + new + text[b:])
