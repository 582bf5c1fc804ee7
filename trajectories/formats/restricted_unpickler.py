"""Pickles read without running what they say.

A pickle is a program. This one may build lists, dicts, numbers, strings and numpy arrays, and nothing else: every name
in it is replaced by a stand-in of ours or refused. Not even numpy's own unpickling runs on its bytes.

The standard library's unpickler in Python reads it: the one in C makes room for every index that a memo's instruction
names, gigabytes for six bytes. Lists within lists, which a few instructions can repeat without end, are counted before
they become an array.
"""

import mmap
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from trajectories.errors import DamagedFileError, DatasetError
from trajectories.formats.limits import SMALL

UNCOMPRESSED = 8  # bytes of an array at most that one byte of a pickle stands for: a small number in a list
AXES = 8  # of an array that is written as lists within lists


def unpickle(path: Path) -> Any:
    """What a pickle builds; arrays in it are read by `as_array`.

    Raises:
        DatasetError: there is no such file, it is damaged, or wants anything but numpy arrays and plain containers.
    """
    if not path.is_file():
        raise DatasetError(f"There is no file {path}: check --path.")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Unpickler(content).load()  # a map gives what is there, however much is requested
    except DatasetError as error:
        raise DatasetError(f"{path} {error}") from None
    except Exception as error:  # a damaged pickle fails in any way it likes; nothing of ours runs in there
        raise DamagedFileError(path, error) from error


def as_array(value: Any, place: str, stored: int) -> np.ndarray | None:
    """An array that `unpickle` gave, or lists of numbers or arrays as one; None for anything else.

    Args:
        stored: bytes of the file, which bound how many numbers its lists can hold.

    Raises:
        DatasetError: the lists differ in length, or hold more than the file can.
    """
    if isinstance(value, list | tuple):
        _counted(value, [(SMALL + UNCOMPRESSED * stored) // UNCOMPRESSED], AXES, place)
        try:
            return np.asarray(_unwrapped(value))
        except (ValueError, TypeError, OverflowError) as error:
            raise DatasetError(f"{place} is no array ({error}): look at how it was written.") from error
    return _unwrapped(value) if isinstance(value, _Array) else None


def _counted(values: Any, left: list[int], axes: int, place: str) -> None:
    """Raises DatasetError where lists within lists hold more than `left` items, or are nested too deeply."""
    left[0] -= len(values)
    if left[0] < 0 or axes == 0:
        raise DatasetError(f"{place} holds lists within lists without end: get the file from its source again.")
    for each in values:
        if isinstance(each, list | tuple):
            _counted(each, left, axes - 1, place)
        elif isinstance(each, _Array):
            left[0] -= getattr(each.values, "size", 0)


def _unwrapped(value: Any) -> Any:
    """Arrays in place of their stand-ins."""
    if isinstance(value, list | tuple):
        return [_unwrapped(each) for each in value]
    return value.values if isinstance(value, _Array) else value


def _refuse(what: str) -> DatasetError:
    return DatasetError(
        f"wants {what}, but only numpy arrays and plain containers are read from a pickle, since anything else could "
        f"run code: convert it to D4RL's HDF5 layout."
    )


class _StandIn:
    """Something that a pickle may name. Nothing can be written into the classes themselves."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise _refuse(f"to change {type(self).__name__}")


class _Type(_StandIn):
    """numpy.dtype: a number's kind, size and byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: str, align: int = 0, copy: int = 1) -> None:
        if not (isinstance(code, str) and code[:1] in "fiub" and code[1:].isdigit()):
            raise _refuse(f"an array of {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order, *fields = state[1:5]
        if order not in ("<", ">", "=", "|") or any(field is not None for field in fields):
            raise _refuse("a structured array")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(_StandIn):
    """numpy.ndarray as protocols 0 to 4 write it: made empty, then given its bytes."""

    values: np.ndarray | None = None

    def __init__(self, *made_empty: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        self.values = _filled(content, kind, shape, "F" if fortran else "C")


class _Buffer(_Array):
    """numpy's _frombuffer: an array as protocol 5 writes it."""

    __slots__ = ()

    def __init__(self, content: Any, kind: Any, shape: Any, order: str) -> None:
        self.values = _filled(content, kind, shape, order)


class _Scalar(_Array):
    """A numpy number."""

    __slots__ = ()

    def __init__(self, kind: Any, content: Any) -> None:
        self.values = _filled(content, kind, (), "C")


class _Ordered(_StandIn):
    """collections.OrderedDict, as a plain dict."""

    __slots__ = ()

    def __new__(cls, items: Any = ()) -> Any:
        return dict(items)


class _Defaulting(_StandIn):
    """collections.defaultdict, as a plain dict."""

    __slots__ = ()

    def __new__(cls, factory: Any = None) -> Any:
        return {}


class _Deque(_StandIn):
    """collections.deque, as a list."""

    __slots__ = ()

    def __new__(cls, items: Any = (), longest: Any = None) -> Any:
        return list(items)


class _Factory(_StandIn):
    """What a defaultdict would make of a missing key."""

    __slots__ = ()


class _Latin(_StandIn):
    """_codecs.encode: how protocols below 3 write bytes."""

    __slots__ = ()

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding != "latin1":
            raise _refuse(f"text in {encoding!r}")
        return text.encode("latin1")


def _filled(content: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    if not (isinstance(kind, _Type) and isinstance(content, bytes | bytearray)):
        raise _refuse("an array that holds no numbers")
    return np.frombuffer(content, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


_NAMES = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Latin,
    ("collections", "OrderedDict"): _Ordered,
    ("collections", "defaultdict"): _Defaulting,
    ("collections", "deque"): _Deque,
    **{(room, name): _Factory for room in ("builtins", "__builtin__") for name in ("list", "dict", "int", "float")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Buffer for core in ("core", "_core")},
}


def _load_bytearray8(unpickler: Any) -> None:
    """The bytes that are there; the standard library allocates as many as are declared."""
    (size,) = struct.unpack("<Q", unpickler.read(8))
    unpickler.append(bytearray(unpickler.read(size)))


class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_bytearray8}
    for _named_elsewhere in (pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID):
        del dispatch[_named_elsewhere[0]]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise _refuse(f"{module}.{name}")
        return _NAMES[module, name]
