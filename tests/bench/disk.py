"""
A disk as a power loss may leave it, out of what a process did to it.

The rules are those of POSIX: what was written is certain after a sync of the file, a name after a sync of its folder;
until then each write and each name may have come about or not, in any order. A rename is whole or not at all; a write
may be torn, or have made the file longer without its bytes.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tests.bench.stage import Call

#: Mapped memory that SQLite makes anew after every crash.
_MADE_ANEW: Final = "-shm"


@dataclass(frozen=True, slots=True)
class Effect:
    """
    Something that was done to one node, or to a name.

    A write has `data` and `offset`; a change of the size has `offset` alone; a change of names takes `gone` away and
    gives `given` to the node. `folder` is the one whose sync makes it certain.
    """

    number: int
    node: int
    offset: int = 0
    data: bytes | None = None
    gone: str = ""
    given: str = ""
    folder: str = ""

    @property
    def is_of_names(self) -> bool:
        """Whether it changed names."""
        return bool(self.folder)


@dataclass(frozen=True, slots=True)
class Moment:
    """After some of the effects: which of them are certain, which are not, and what had been promised by then."""

    certain: tuple[Effect, ...]
    pending: tuple[Effect, ...]
    facts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Disk:
    """Names, and the bytes of the nodes that they lead to; None for a folder."""

    files: Mapping[str, tuple[int, bytes]]
    folders: Collection[str]

    def build(self, root: Path) -> dict[int, int]:
        """Write it below a folder that is empty; return the inode of each node."""
        for folder in sorted(self.folders):
            (root / folder).mkdir(parents=True, exist_ok=True)
        built: dict[int, Path] = {}
        for name, (node, content) in self.files.items():
            path = root / name
            if node in built:
                os.link(built[node], path)
            else:
                path.write_bytes(content)
                path.chmod(0o600)
                built[node] = path
        return {node: path.stat().st_ino for node, path in built.items()}


@dataclass(slots=True)
class History:
    """What happened to the files below `root`, as effects in their order; made by `of`."""

    root: str
    before: dict[str, bytes]
    moments: list[Moment] = field(default_factory=list)
    inodes: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _certain: list[Effect] = field(default_factory=list)
    _pending: list[Effect] = field(default_factory=list)
    _facts: list[tuple[str, ...]] = field(default_factory=list)
    _node_of: dict[int, int] = field(default_factory=dict)
    _path_of: dict[int, str] = field(default_factory=dict)
    _ignored: set[int] = field(default_factory=set)
    _nodes: int = 0
    _effects: int = 0

    @classmethod
    def of(cls, calls: Iterable[Call], root: Path, before: Mapping[str, bytes]) -> History:
        """
        Return the history of a trace.

        Parameters
        ----------
        root:
            The folder that was watched.
        before:
            What was there and certain before, by relative path.
        """
        history = cls(str(root), dict(before))
        history._moments_of(calls)
        return history

    def _moments_of(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if call.call == "note":
                self._facts.append(tuple(call.words))
            elif call.result >= 0:
                self._take(call)
            self.moments.append(Moment(tuple(self._certain), tuple(self._pending), tuple(self._facts)))

    def _take(self, call: Call) -> None:
        path, other = self._relative(call.path), self._relative(call.other)
        match call.call:
            case "open" | "create" | "truncating":
                self._open(call, path)
            case "write" | "pwrite":
                self._add(call.inode, offset=call.offset, data=call.data)
            case "ftruncate":
                self._add(call.inode, offset=call.offset)
            case "fsync" | "fdatasync":
                self._sync(call.inode)
            case "link":
                self._name(self._node(call.inode), given=other)
            case "rename":
                self._name(self._node(call.inode), gone=path, given=other)
            case "unlink" | "rmdir":
                self._name(self._node(call.inode), gone=path)
            case "mkdir":
                self._name(-1, given=path)

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.root).lstrip("/")

    def _open(self, call: Call, path: str) -> None:
        self._path_of[call.inode] = path
        if path.endswith(_MADE_ANEW):
            self._ignored.add(call.inode)
        elif call.call == "create":
            self._ignored.discard(call.inode)  # the number of a file that is gone may be given again
            self._name(self._new_node(call.inode), given=path)
        elif call.call == "truncating":
            self._add(call.inode, offset=0)

    def _new_node(self, inode: int) -> int:
        self._nodes += 1
        self._node_of[inode] = self._nodes
        self.inodes[inode].append(self._nodes)
        return self._nodes

    def _node(self, inode: int) -> int:
        return self._node_of[inode] if inode in self._node_of else self._new_node(inode)

    def _add(self, inode: int, *, offset: int, data: bytes | None = None) -> None:
        if inode not in self._ignored:
            self._effects += 1
            self._pending.append(Effect(self._effects, self._node(inode), offset=offset, data=data))

    def _name(self, node: int, *, gone: str = "", given: str = "") -> None:
        if (gone or given).endswith(_MADE_ANEW):
            return
        self._effects += 1
        folder = os.path.dirname(gone or given) or "."  # noqa: PTH120 (a text, not a place)
        self._pending.append(Effect(self._effects, node, gone=gone, given=given, folder=folder))

    def _sync(self, inode: int) -> None:
        node, folder = self._node_of.get(inode), self._path_of.get(inode)
        done = [
            each
            for each in self._pending
            if (each.folder == (folder or ".") if each.is_of_names else each.node == node)
        ]
        self._certain += done
        self._pending = [each for each in self._pending if each not in done]

    def disk(self, effects: Sequence[Effect]) -> Disk:
        """Return the disk on which just these effects came about."""
        names: dict[str, int] = {}
        contents: dict[int, bytearray] = defaultdict(bytearray)
        folders = {os.path.dirname(name) for name in self.before}  # noqa: PTH120 (as above)
        for number, (name, content) in enumerate(self.before.items()):
            names[name], contents[-10 - number] = -10 - number, bytearray(content)
        for effect in sorted(effects, key=lambda each: each.number):
            if not effect.is_of_names:
                _write(contents[effect.node], effect)
            elif effect.node == -1:
                folders.add(effect.given)
            else:
                if names.get(effect.gone) == effect.node:
                    del names[effect.gone]
                if effect.given:
                    names[effect.given] = effect.node
        there = {name: (node, bytes(contents[node])) for name, node in names.items() if _has_folder(name, folders)}
        return Disk(there, folders)


def _has_folder(name: str, folders: Collection[str]) -> bool:
    return all(not str(each) or str(each) == "." or str(each) in folders for each in Path(name).parents)


def _write(content: bytearray, effect: Effect) -> None:
    if effect.data is None:
        del content[effect.offset :]
        content.extend(bytes(effect.offset - len(content)))
        return
    content.extend(bytes(max(0, effect.offset - len(content))))
    content[effect.offset : effect.offset + len(effect.data)] = effect.data


def choices(pending: Sequence[Effect], *, most: int) -> Iterator[list[Effect]]:
    """
    Yield what may have come about of what was not certain: nothing, all, kinds, single ones, all but one, torn.

    Parameters
    ----------
    most:
        Of how many effects each is tried alone and left out; the latest are.
    """
    yield []
    yield list(pending)
    yield [each for each in pending if not each.is_of_names]
    yield [each for each in pending if each.is_of_names]
    for each in pending[-most:]:
        yield [other for other in pending if other is not each]
        yield [each]
    yield from _torn(pending)


def _torn(pending: Sequence[Effect]) -> Iterator[list[Effect]]:
    """Yield all with the last write of each node in halves, and with zeros in the place of its bytes."""
    last = {each.node: each for each in pending if each.data}
    for node, effect in last.items():
        data = effect.data or b""
        for part in (data[: len(data) // 2], bytes(len(data))):
            torn = Effect(effect.number, node, offset=effect.offset, data=part)
            yield [torn if each is effect else each for each in pending]
