"""Valid files changed for `fuzz_media.py`: bits, cuts and splices, and lies that each kind can tell.

Lies stand where a kind tells sizes, rates and counts; the checksum is put right where there is one.
"""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from fuzz_seeds import ogg_pages, pack_zip, write_page_checksum

EXTREMES = (0, 1, 2, 3, 7, 0x10, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x4000_0000)
EXTREMES = (
    *EXTREMES,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0xFFFF_FFFE,
    60_000,
    192_000,
    16_384,
    0x0A0A_0A0A,
)
WORDS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 1.5, -0.5, 1e-308, 1e308, float("inf"), float("nan"), 2**31, 2**63, -(2**63), 10**30),
    *(
        "",
        "a",
        "0",
        "-1",
        "1e999",
        "é\u202e",
        "\x1b[31m",
        "line\nline",
        "../../up",
        "/etc/passwd",
        "x" * 5000,
    ),
    *(
        None,
        True,
        False,
        [],
        {},
        [[]],
        [0],
        [1, 2, 3],
        ["a"],
        {"a": 1},
        [[[[[[[[[[]]]]]]]]]],
        [None],
        "float64",
    ),
)
VALUES = (
    *(
        "0",
        "-1",
        "1e308",
        "-1e308",
        "nan",
        "inf",
        "9" * 400,
        "true",
        '""',
        '"a"',
        "[]",
        "{}",
        "[[]]",
        "[1, 2]",
    ),
    *("1979-05-27", "07:32:00", "{ a = 1 }", '"\\u0000"', '"\\u001b[31m"', '"""line\nline"""', '["a", 1]'),
    *(
        "[" * 300 + "]" * 300,
        "0xffffffffffffffff",
        f'"{"x" * 3000}"',
        '[["a"]]',
        "9223372036854775808",
        '"="',
    ),
    *('"../../etc/passwd"', '"nan"', "9" * 5000, "[" * 5000 + "]" * 5000, "{ a = " * 2000 + "}" * 2000),
)
"""Of TOML."""
CELLS = (
    *(
        "",
        "0",
        "-1",
        "nan",
        '"',
        '"a',
        "9" * 5000,
        "../../up",
        "/etc/passwd",
        "a\0b",
        "\x1b[31mred",
        "²",
        "٣",
    ),
    *("é\u202e", "a\rb", "x" * 70_000, "1e999", "\ufeff", "a\\b", "C:x", "..", ".", "dog", "Gong"),
)
"""Of tables."""
Rng = random.Random


def extreme_integer(rng: Rng, wide: int, order: str) -> bytes:
    """An integer of so many bytes that nobody expects."""
    value = rng.choice(EXTREMES) if rng.random() < 0.8 else rng.getrandbits(32)
    if wide == 8 and rng.random() < 0.5:
        value = rng.choice((2**63 - 1, 2**64 - 1, 2**40, 2**62))
    return (value & (256**wide - 1)).to_bytes(wide, order)  # type: ignore[arg-type]


def overwrite_at(data: bytearray, at: int, value: bytes) -> None:
    """Overwrite what is there; what would lie behind the end is left out."""
    data[at : at + len(value)] = value[: max(0, len(data) - at)]


# What is done to any file.


def flip_bits(data: bytearray, _corpus: list[bytes], rng: Rng) -> None:
    """Some bits."""
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        if data:
            data[choose_early_offset(data, rng)] ^= 1 << rng.randrange(8)


def overwrite_integer(data: bytearray, _corpus: list[bytes], rng: Rng) -> None:
    """An integer."""
    overwrite_at(
        data,
        choose_early_offset(data, rng),
        extreme_integer(rng, rng.choice((1, 2, 4, 4, 8)), rng.choice(("little", "big"))),
    )


def truncate(data: bytearray, _corpus: list[bytes], rng: Rng) -> None:
    """The end."""
    del data[rng.choice((choose_early_offset(data, rng), rng.randrange(len(data) + 1))) :]


def delete_block(data: bytearray, _corpus: list[bytes], rng: Rng) -> None:
    """A block."""
    at = choose_early_offset(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 16, 100, 1000))]


def repeat_block(data: bytearray, _corpus: list[bytes], rng: Rng) -> None:
    """A block, here or elsewhere."""
    at, to = choose_early_offset(data, rng), choose_early_offset(data, rng)
    block = data[at : at + rng.choice((1, 4, 16, 100, 1000))]
    data[to:to] = block * rng.choice((1, 1, 2, 50))


def splice(data: bytearray, corpus: list[bytes], rng: Rng) -> None:
    """The beginning of one file and the end of another."""
    other = rng.choice(corpus)
    data[choose_early_offset(data, rng) :] = other[rng.randrange(len(other) + 1) :]


def fill_block(data: bytearray, _corpus: list[bytes], rng: Rng) -> None:
    """A block of one byte."""
    at = choose_early_offset(data, rng)
    overwrite_at(
        data, at, bytes([rng.choice((0, 0xFF, 0x20, rng.randrange(256)))]) * rng.choice((4, 16, 200))
    )


ANY = (
    flip_bits,
    flip_bits,
    overwrite_integer,
    overwrite_integer,
    overwrite_integer,
    truncate,
    delete_block,
    repeat_block,
    splice,
    fill_block,
)


def choose_early_offset(data: bytes, rng: Rng) -> int:
    """A place, sooner in the header than behind it."""
    return int(len(data) * rng.random() ** rng.choice((1, 2, 4)))


# Lies that only one kind knows.


def mutate_png(data: bytearray, rng: Rng) -> None:
    """A field of the header, or any chunk, with its checksum."""
    if rng.random() < 0.6:
        at, wide = rng.choice(((16, 4), (20, 4), (24, 1), (25, 1), (28, 1)))
        overwrite_at(data, at, extreme_integer(rng, wide, "big"))
        overwrite_at(data, 29, struct.pack(">I", zlib.crc32(data[12:29])))
        return
    if rng.random() < 0.5:
        mutate_png_chunk(data, rng)
        return
    kind = rng.choice((b"tRNS", b"PLTE", b"eXIf", b"acTL", b"fcTL", b"iCCP", b"gAMA", b"cHRM", b"IDAT"))
    body = rng.randbytes(rng.choice((0, 1, 6, 26, 100, 768)))
    data[33:33] = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def mutate_png_chunk(data: bytearray, rng: Rng) -> None:
    """The inside of a chunk, with its checksum; of pixels what is packed in it."""
    at, found = 8, []
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((at, length))
        at += 12 + length
    at, length = rng.choice(found or [(8, 0)])
    kind, body = bytes(data[at + 4 : at + 8]), bytearray(data[at + 8 : at + 8 + length])
    try:
        packed = kind == b"IDAT"
        body = bytearray(zlib.decompress(body)) if packed else body
        rng.choice(ANY)(body, [bytes(body)], rng)
        body = bytearray(zlib.compress(body)) if packed else body
    except zlib.error:
        return
    data[at : at + 12 + length] = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    )


def mutate_after_marks(marks: tuple[bytes, ...], most: int, order: str) -> Callable[[bytearray, Rng], None]:
    """A lie in the fields that follow a mark, or in the length before it."""

    def mutate(data: bytearray, rng: Rng) -> None:
        places = [match.end() for mark in marks for match in re.finditer(re.escape(mark), bytes(data))]
        if places:
            at = rng.choice(places) + rng.choice((*range(0, most), -8))
            overwrite_at(data, max(0, at), extreme_integer(rng, rng.choice((1, 2, 4, 4)), order))

    return mutate


BOXES = (
    b"stsz",
    b"stts",
    b"ctts",
    b"stsc",
    b"stco",
    b"stss",
    b"mvhd",
    b"tkhd",
    b"mdhd",
    b"elst",
    b"mp4a",
    b"avc1",
)
BOXES += (
    b"hvc1",
    b"mp4v",
    b"esds",
    b"avcC",
    b"hvcC",
    b"trun",
    b"tfhd",
    b"tfdt",
    b"trex",
    b"colr",
    b"hdlr",
    b"vpcC",
)
BOXES += (b"apcn", b"ap4h", b"png ", b"alac", b"dOps", b"pasp", b"moov", b"mdat", b"stsd", b"sowt")
# Scale of the clock, duration, width, height, rate, depth, channels, times of cluster and block, and more.
ELEMENTS = (
    b"\x2a\xd7\xb1",
    b"\x44\x89",
    b"\xb0",
    b"\xba",
    b"\xb5",
    b"\x62\x64",
    b"\x9f",
    b"\xe7",
    b"\xa3",
    b"\x9b",
)
ELEMENTS += (b"\x23\xe3\x83", b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b", b"\x63\xa2", b"\x54\xb0", b"\x76\x70")
ELEMENTS += (b"\x56\xaa", b"\x56\xbb", b"\x83", b"\x86", b"\xd7", b"\x53\x6e", b"\x22\xb5\x9c")
FRAMES = (b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xda", b"\xff\xdb", b"\xff\xdd", b"\xff\xe1", b"II*\0")


def mutate_tif(data: bytearray, rng: Rng) -> None:
    """Kind, count or value of an entry of the directory."""
    if len(data) < 16:
        return
    (at,) = struct.unpack_from("<I", data, 4)
    if at + 2 < len(data):
        entry = at + 2 + 12 * rng.randrange(max(1, min(30, data[at])))
        overwrite_at(
            data, entry + rng.choice((0, 2, 4, 8, 8, 8)), extreme_integer(rng, rng.choice((2, 4)), "little")
        )


def mutate_ogg(data: bytearray, rng: Rng) -> None:
    """A field of a page, or what is in it, with the checksum."""
    if pages := ogg_pages(bytes(data)):
        page = rng.choice(pages[:4])
        at, wide = rng.choice(
            ((5, 1), (6, 8), (14, 4), (18, 4), (26, 1), (27, 1), (28, 4), (39, 1), (40, 4), (56, 1))
        )
        overwrite_at(data, page.start + at, extreme_integer(rng, wide, "little"))
        write_page_checksum(data, range(page.start, min(page.stop, len(data))))


def mutate_gif(data: bytearray, rng: Rng) -> None:
    """The screen, a frame's delay or its place."""
    frames = [match.start() for match in re.finditer(rb"\x2c|\x21\xf9\x04", bytes(data))]
    at = rng.choice((6, 8, 10, *(place + off for place in frames[:8] for off in (1, 3, 4, 5, 7))))
    overwrite_at(data, at, extreme_integer(rng, 2, "little"))


def rewrite_zip(data: bytearray, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change what is in a zip, and pack it again with right checksums."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            files = {name: file.read(name) for name in file.namelist()}
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, ValueError, RuntimeError):
        return  # An earlier change has broken it: it is tried as it is.
    change(files)
    data[:] = pack_zip(files)


def mutate_npz(data: bytearray, rng: Rng) -> None:
    """An array's header, its name, or what it holds."""

    def change(files: dict[str, bytes]) -> None:
        name = rng.choice(sorted(files))
        body = files.pop(name)
        if rng.random() < 0.8:
            swap = rng.choice(
                (b"<f8", b"<f2", b"|O", b"<U9", b"<c8", b"|V4", b"<i8", b"|b1", b"<M8[s]", b"<f16")
            )
            swaps = ((rb"'<f4'", b"'" + swap + b"'"), (rb"\((\d+),", b"(%d," % rng.choice(EXTREMES)))
            swaps += (
                (rb"\(([^)]*)\)", b"(-1,)"),
                (rb"False", b"True"),
                (rb"\{", b"{" * 50),
                (rb"^.NUMPY.", b"\x93NUMPY\x09"),
            )
            body = re.sub(*rng.choice(swaps), body, count=1)
        else:
            name = rng.choice(
                (name.removesuffix(".npy"), "../up.npy", f"{name}\n", "x" * 4000, "\x1b[31m.npy")
            )
        files[name] = body

    rewrite_zip(data, change)


def mutate_safetensors(data: bytearray, rng: Rng) -> None:
    """The length of the header, or a value in it."""
    if rng.random() < 0.2:
        overwrite_at(data, 0, extreme_integer(rng, 8, "little"))
        return
    (length,) = struct.unpack_from("<Q", data.ljust(8, b"\0"))
    try:
        head = json.loads(bytes(data[8 : 8 + min(length, len(data))]))
    except ValueError:
        return
    text = json.dumps(mutate_tree(head, rng), ensure_ascii=False).encode(errors="replace")
    data[:] = struct.pack("<Q", len(text)) + text + data[8 + length :]


def mutate_keras(data: bytearray, rng: Rng) -> None:
    """A value of the graph, or the weights."""

    def change(files: dict[str, bytes]) -> None:
        if rng.random() < 0.75:
            graph = json.loads(files["config.json"])
            for _ in range(rng.choice((1, 1, 2))):
                graph = mutate_tree(graph, rng)
            files["config.json"] = json.dumps(graph).encode()
        else:
            weights = bytearray(files["model.weights.h5"])
            for _ in range(rng.choice((1, 3, 10))):
                rng.choice((flip_bits, overwrite_integer, fill_block))(weights, [], rng)
            files["model.weights.h5"] = bytes(weights)

    rewrite_zip(data, change)


def mutate_tree(tree: Any, rng: Rng) -> Any:
    """A tree of JSON with one value changed, left out, doubled or nested."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, (dict, list)):
            for key in list(node) if isinstance(node, dict) else range(len(node)):
                places.append((node, key))
                walk(node[key])

    walk(tree)
    if not places or rng.random() < 0.02:
        return rng.choice(WORDS)
    node, key = rng.choice(places)
    how = rng.random()
    if how < 0.7:
        node[key] = rng.choice(WORDS)
    elif how < 0.8:
        del node[key]
    elif how < 0.9:
        other, place = rng.choice(places)
        if place in other if isinstance(other, dict) else place < len(other):
            node[key] = json.loads(json.dumps(other[place]))
    elif isinstance(node, dict):
        node[str(rng.choice(WORDS))[:300]] = node.pop(key)
    else:
        node[key] = [node[key]] * 2
    return tree


def mutate_zip(data: bytearray, rng: Rng) -> None:
    """A field of a member in the list or before the member, or its name."""
    if rng.random() < 0.2:
        name = rng.choice(
            ("../up", "/tmp/fuzz-up", "a" * 300, "C:x", "a\\b", "a\0b", "\x1b[31m", "line\nline", "dog/")
        )
        rewrite_zip(data, lambda files: files.update({name: files.pop(sorted(files)[0], b"")}))
        return
    heads = [
        (match.start(), match[0]) for match in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", bytes(data))
    ]
    if heads:
        at, mark = rng.choice(heads)
        off, wide = rng.choice(
            ((6, 2), (8, 2), (10, 2), (14, 4), (18, 4), (20, 4), (22, 4), (24, 4), (26, 2), (28, 2))
        )
        if mark == b"PK\x01\x02" and rng.random() < 0.3:
            off, wide = rng.choice(((38, 4), (42, 4), (30, 2), (32, 2)))
        overwrite_at(data, at + off, extreme_integer(rng, wide, "little"))


def mutate_tar(data: bytearray, rng: Rng) -> None:
    """A field of a member, with the checksum put right."""
    heads = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not heads:
        return
    at = rng.choice(heads)
    off, wide = rng.choice(
        ((0, 100), (100, 8), (124, 12), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155))
    )
    names = (
        b"../up",
        b"/tmp/fuzz-up",
        b"a" * 100,
        b"\x1b[31m",
        b"line\nline",
        b"\xff\xfe",
        b"a/../../b",
        b"",
    )
    numbers = (
        b"77777777777",
        b"-1",
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff",
        b"\xff" * 11,
        b"9",
        b"0o7",
        b"",
    )
    value = rng.choice(names) if wide >= 100 else rng.choice(numbers)
    overwrite_at(
        data,
        at + off,
        rng.choice(b"012345678gxLKSDVN\0").to_bytes(1, "big")
        if wide == 1
        else value[:wide].ljust(wide, b"\0"),
    )
    overwrite_at(data, at + 148, b" " * 8)
    overwrite_at(data, at + 148, b"%06o\0 " % (sum(data[at : at + 512]) & 0o777777))


def mutate_toml(data: bytearray, rng: Rng) -> None:
    """A value, a name, or a table."""
    value = rng.choice(VALUES)
    lines = bytes(data).decode(errors="replace").splitlines()
    at = rng.randrange(len(lines)) if lines else 0
    if lines and "=" in lines[at] and rng.random() < 0.8:
        name, _, old = lines[at].partition("=")
        lines[at] = f"{value if rng.random() < 0.1 else name} = {old if rng.random() < 0.1 else value}"
    else:
        lines.insert(
            at,
            rng.choice(
                (
                    "[key]",
                    "[[key]]",
                    "[pass]",
                    "[[pass.key]]",
                    f"{'a.' * 400}a = 1",
                    f"x = {value}",
                    "[input]",
                )
            ),
        )
    data[:] = "\n".join(lines).encode(errors="replace")


def mutate_table(data: bytearray, rng: Rng) -> None:
    """A cell, or a line."""
    mark = "\t" if b"\t" in data else ","
    rows = [line.split(mark) for line in bytes(data).decode(errors="replace").split("\n")]
    row = rng.choice(rows)
    value = rng.choice(CELLS)
    if rng.random() < 0.8:
        row[rng.randrange(len(row))] = value
    else:
        rows.insert(rng.randrange(len(rows)), rng.choice(([value], row, [], [value] * 300)))
    data[:] = "\n".join(mark.join(each) for each in rows).encode(errors="replace")


def mutate_json(data: bytearray, rng: Rng) -> None:
    """A value of a JSON file."""
    if rng.random() < 0.02:
        data[:] = b"[" * 100_000
        return
    try:
        data[:] = json.dumps(mutate_tree(json.loads(bytes(data)), rng)).encode()
    except (ValueError, RecursionError):
        return


def mutate_matroska(data: bytearray, rng: Rng) -> None:
    """A field, or the text that tells where a stream ends."""
    places = [match.start() for match in re.finditer(rb"\d\d:\d\d:\d\d\.\d{9}", bytes(data))]
    if not places or rng.random() < 0.9:
        mutate_after_marks(ELEMENTS, 10, "big")(data, rng)
        return
    texts = (
        b"99:99:99",
        b"0:0:1/0",
        b"1e9:0:0",
        b"0:0:1e999999999",
        b"-1:0:0",
        b"a:b:c",
        b"0:0:nan",
        b"999999:0:0",
    )
    overwrite_at(data, rng.choice(places), rng.choice(texts).ljust(18, b"\0"))


MUTATIONS: dict[str, Callable[[bytearray, Rng], None]] = {
    **dict.fromkeys(("mp4", "mov"), mutate_after_marks(BOXES, 40, "big")),
    **dict.fromkeys(("mkv", "webm"), mutate_matroska),
    "wav": mutate_after_marks(
        (b"RIFF", b"RF64", b"fmt ", b"data", b"fact", b"ds64", b"LIST", b"PEAK", b"INFO"), 44, "little"
    ),
    "flac": mutate_after_marks((b"fLaC",), 42, "big"),
    "mp3": mutate_after_marks((b"Xing", b"Info", b"LAME", b"ID3", b"\xff\xfb", b"\xff\xf3"), 30, "big"),
    "jpg": mutate_after_marks(FRAMES, 12, "big"),
    "webp": mutate_after_marks((b"RIFF", b"WEBP", b"VP8X", b"VP8 ", b"VP8L", b"ALPH"), 16, "little"),
    "mat": mutate_after_marks((b"IM", b"\x0e\0\0\0", b"\x09\0\0\0", b"\x01\0"), 16, "little"),
    **{
        "png": mutate_png,
        "tif": mutate_tif,
        "ogg": mutate_ogg,
        "gif": mutate_gif,
        "npz": mutate_npz,
        "safetensors": mutate_safetensors,
        "keras": mutate_keras,
    },
    **{"zip": mutate_zip, "tar": mutate_tar, "toml": mutate_toml},
    **{"csv": mutate_table, "tsv": mutate_table, "json": mutate_json},
}
"""By kind."""


def mutate_file(kind: str, seed: bytes, corpus: list[bytes], rng: Rng) -> bytes:
    """A seed changed once or several times.

    Args:
        kind: one of `MUTATIONS`.
        seed: a valid file.
        corpus: all valid files of the kind.
        rng: decides everything.
    """
    data = bytearray(seed)
    count = rng.choice((0, 1, 1, 2, 3))
    for _ in range(count):
        MUTATIONS[kind](data, rng)
    for _ in range(rng.choice((0, 0, 1)) if count else rng.choice((1, 1, 2, 5))):
        rng.choice(ANY)(data, corpus, rng)
    return bytes(data)
