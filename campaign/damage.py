"""Files that are whole, and what may become of them: bytes that change, and contents that make no sense."""

import gzip
import json
import pickle
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from campaign import whole_files

JUNK: tuple[Any, ...] = (
    *(None, 0, -1, 1.5, 10**12, 10**30, True, "x", "", "../../etc/passwd", "é" * 3, "\x1b[2J\n"),
    *([], {}, [[]], {"a": 1}, [1, 2], [[1], [2, 3]], float("nan")),
)
DTYPES = ("f2", "f8", ">f4", "i1", "i8", "u8", "S5", "c8", "?", "V4", [("a", "f4"), ("b", "i4")])
VALUES = (
    *("-1", "0", "1e3", "nan", "inf", "true", '"x"', '""', "[]", "[[]]", '["x"]', "[0]", "{}", "{ x = 1 }"),
    *("2020-01-01", "1" + "0" * 30, '"' + "x" * 9000 + '"', '"\\u001b[2J"', '["*"]', '["../.."]'),
)
LINES = (
    *("x", "[default]", "[default.dt]", '[default.dt."["]', "[[x]]", "default = 3", "smoke = 1", "[smoke.all]"),
    *("[" * 9000, "x = " + "[" * 9000, "a." * 900 + "b = 1", "updates = 'x'", "layers = 10000000000", "[x.dt]"),
)
TABLES = (
    *(b"", b"\n", b"\n\n", b"update", b"update\n", b"\xff\xfe\n", b"update,update\n1,2\n", b'"', b'"\n', b"\0\n"),
    *(b"update\n" + b"1," * 200000 + b"\n", b"update,seconds\nnan,1\n", b"update\n1e5\n", b"update\n\n\n1\n"),
    *(b"update\n" + b"9" * 5000 + b"\n", b"seconds\n1\n", b'update,"a\nb",c\n1,2,3\n', b"x" * 10**6),
)
HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000, 84, 84), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (30,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '<U0', 'fortran_order': True, 'shape': (30, 0), }",
    *("(" * 9000, "-" * 9000 + "1", "", "'''", "__import__('os').abort()"),
)
INSTRUCTIONS = (
    *(b"\x80\x04]r\xff\xff\xff\xff.", b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", b"cos\nabort\n(tR."),
    *(b"cnumpy\nndarray\n}b.", b"cnumpy\ndtype\n(I5\ntR.", b"\x82\x01.", b"Pabc\n.", b"I" + b"9" * 6000 + b"\n."),
    *(b"(" * 10**5, b"\x80\x04]" + b"]" * 30000 + b"a" * 30000 + b"."),
)


def damage(rng: random.Random, file: Path) -> None:
    """Change a file so that it may mean anything, or nothing."""
    by_content = BY_CONTENT.get(file.suffix)
    share = rng.random()
    if by_content is not None and share < 0.7:
        by_content(rng, file)
    if by_content is None or share > 0.6:
        file.write_bytes(changed_bytes(rng, file.read_bytes()))


def changed_bytes(rng: random.Random, content: bytes) -> bytes:
    """A few bytes flipped, lost, repeated, or made a large number."""
    data = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, size = rng.randrange(len(data)), rng.randrange(1, 64)
        how = rng.randrange(6)
        if how == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del data[at:]
        elif how == 2:
            del data[at : at + size]
        elif how == 3:
            data[at:at] = rng.randbytes(size)
        elif how == 4:
            data[at : at + 8] = struct.pack("<q", rng.choice((-1, 0, 2**31, 2**40, 2**63 - 1, -(2**63))))
        else:
            data[at : at + 32] = data[at // 2 : at // 2 + 32]
        data = data or bytearray(b"\0")
    return bytes(data)


def _hdf5(rng: random.Random, path: Path) -> None:
    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = rng.choice(names)
        values = file[name][()]
        del file[name]
        rng.choice(ODD_ARRAYS)(rng, file, name, values)


def _declared(rng: random.Random, file: h5py.File, name: str, values: Any) -> None:
    shape = rng.choice(((10**12,), (5 * 10**8, 2), (2**60,), (0, 2), (10**8, 1)))
    file.create_dataset(name, shape, "f4", chunks=True if rng.random() < 0.5 and all(shape) else None)


def _elsewhere(rng: random.Random, file: h5py.File, name: str, values: Any) -> None:
    how, shape = rng.randrange(3), np.shape(values)
    if how == 0:
        file.create_dataset(name, shape, "u1", external=[(rng.choice(("/etc/passwd", "/dev/zero", "gone")), 0, 2**63)])
    elif how == 1:
        layout = h5py.VirtualLayout(shape, "f4")
        layout[:] = h5py.VirtualSource(rng.choice((file.filename, "gone.hdf5")), name, shape)
        file.create_virtual_dataset(name, layout)
    else:
        links = (h5py.SoftLink(f"/{name}"), h5py.SoftLink("/nowhere"), h5py.ExternalLink("/etc/passwd", "/x"))
        file[name] = rng.choice(links)


def _another(rng: random.Random, file: h5py.File, name: str, values: Any) -> None:
    others = (
        lambda: values[: rng.randrange(len(values) + 1)],
        lambda: np.repeat(np.asarray(values)[..., None], rng.choice((0, 1, 3)), -1),
        lambda: np.zeros(np.shape(values), rng.choice(DTYPES)),
        lambda: np.full(np.shape(values), rng.choice((np.nan, np.inf, 1e38))),
        lambda: h5py.Empty("f4"),
        lambda: ["x"] * len(values),
        lambda: file.ref,
    )
    file[name] = rng.choice(others)()


ODD_ARRAYS: tuple[Callable[[random.Random, h5py.File, str, Any], None], ...] = (_declared, _elsewhere, _another)


def _json(rng: random.Random, path: Path) -> None:
    if rng.random() < 0.1:
        path.write_text(rng.choice(("", "[]", "null", "{" * 10**5, '{"a":' * 10**5, '{"total_steps": 1e999}')))
        return
    row = json.loads(path.read_text(encoding="utf-8"))
    for _ in range(rng.choice((1, 1, 2))):
        _exchange(rng, row)
    path.write_text(json.dumps(row), encoding="utf-8")


def _exchange(rng: random.Random, row: Any) -> None:
    """Something in JSON is gone, renamed, or something else; also in JSON that is a text in it, as Minari's spaces."""
    owner, name = rng.choice(list(_places(row)))
    how = rng.randrange(5)
    if isinstance(owner[name], str) and owner[name].startswith("{") and rng.random() < 0.8:
        inner = json.loads(owner[name])
        _exchange(rng, inner)
        owner[name] = json.dumps(inner)
    elif how == 0:
        del owner[name]
    elif how == 1 and isinstance(owner, dict):
        owner[str(rng.choice(JUNK))] = owner.pop(name)
    else:
        owner[name] = rng.choice(JUNK)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Whatever can be exchanged in JSON, as the list or object that holds it and where; of long lists the beginning."""
    for name in list(value) if isinstance(value, dict) else range(min(3, len(value))):
        yield value, name
        if isinstance(value[name], dict | list):
            yield from _places(value[name])


def _csv(rng: random.Random, path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    how = rng.randrange(4)
    if how == 0:
        path.write_bytes(rng.choice(TABLES))
        return
    if how == 1:
        rng.shuffle(lines)
    elif how == 2:
        lines = [line.replace(",", rng.choice((";", "\t", ",,", "")), rng.choice((1, 99))) for line in lines]
    else:
        place = rng.randrange(len(lines))
        cells = lines[place].split(",")
        cells[rng.randrange(len(cells))] = rng.choice(("x", "", "-1", "1e400", "nan", "9" * 5000, '"', "update"))
        lines[place] = ",".join(cells)
    path.write_text("\n".join(lines) + rng.choice(("", "\n", "\n\n")), encoding="utf-8")


def _toml(rng: random.Random, path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for _ in range(rng.choice((1, 1, 3))):
        place = rng.randrange(len(lines))
        name, equals, _ = lines[place].partition(" = ")
        lines[place] = f"{name} = {rng.choice(VALUES)}" if equals and rng.random() < 0.6 else rng.choice(LINES)
    path.write_text("\n".join(lines), encoding="utf-8")


def _pickle(rng: random.Random, path: Path) -> None:
    if rng.random() < 0.3:
        path.write_bytes(rng.choice(INSTRUCTIONS))
        return
    episodes = whole_files.episodes()
    episode = rng.choice(episodes)
    name = rng.choice(list(episode))
    nested: list[Any] = [0.0] * 10
    for _ in range(8):
        nested = [nested] * 10
    odd = (*JUNK, episode[name][:5], episode[name].tolist(), episode[name].astype("O"), nested, [10**400] * 20)
    episode[name] = rng.choice(odd)
    path.write_bytes(pickle.dumps(episodes, rng.randrange(6)))


def _gzip(rng: random.Random, path: Path) -> None:
    header = rng.choice(HEADERS).encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(240)
    path.write_bytes(gzip.compress(content, 1))


def _safetensors(rng: random.Random, path: Path) -> None:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    name = rng.choice([name for name in header if name != "__metadata__"])
    how = rng.randrange(4)
    if how == 0:
        header[rng.choice(("x", "optimizer.x.exp_avg", "optimizer.999.exp_avg"))] = header.pop(name)
    elif how == 1:
        header[name]["dtype"] = rng.choice(("F16", "I32", "F64", "U8", "X"))
    elif how == 2:
        header[name]["shape"] = rng.choice(([], [10**12], [-1], [0], [1, *header[name]["shape"]]))
    else:
        header["__metadata__"] = {"progress": rng.choice(("", "[]", "null", '{"a":' * 10**5))}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


BY_CONTENT: dict[str, Callable[[random.Random, Path], None]] = {
    **{".hdf5": _hdf5, ".json": _json, ".pkl": _pickle, ".gz": _gzip, ".safetensors": _safetensors},
    **{".csv": _csv, ".toml": _toml},
}
