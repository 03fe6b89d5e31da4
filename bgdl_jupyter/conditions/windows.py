"""
Network and power of Windows, asked of its own interfaces through ctypes.

Not observed: the calls follow Microsoft's reference (netlistmgr.h, winbase.h), on machines that these lines were not
run on. A call that fails leaves the condition unknown.
"""

from __future__ import annotations

import ctypes
import uuid
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.conditions.values import NetworkConditions, NetworkCost, PowerConditions

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.conditions.base import Runner

_NETWORK_LIST_MANAGER: Final = uuid.UUID("DCB00C01-570F-4A9B-8D69-199FDBA5723B")
_INETWORK_LIST_MANAGER: Final = uuid.UUID("DCB00000-570F-4A9B-8D69-199FDBA5723B")
_INETWORK_COST_MANAGER: Final = uuid.UUID("DCB00008-570F-4A9B-8D69-199FDBA5723B")
_CLSCTX_ALL: Final = 23
# Places in the tables of methods; IDispatch has seven methods before its heir's own, IUnknown three.
_RELEASE: Final = 2
_IS_CONNECTED: Final = 12
_GET_COST: Final = 3

# NLM_CONNECTION_COST, the worst first.
_COSTS: Final = (
    (0x10000, NetworkCost.OVER_LIMIT),
    (0x40000, NetworkCost.ROAMING),
    (0x80000, NetworkCost.APPROACHING_LIMIT),
    (0x2 | 0x4, NetworkCost.METERED),
    (0x1, NetworkCost.UNRESTRICTED),
)
_SAVER_ON: Final = 1


class WindowsNetwork:
    """Implements `Probe`."""

    def __init__(self, run: Runner) -> None:
        self._run = run

    async def look(self) -> NetworkConditions:
        """Ask the Network List Manager."""
        is_connected, cost = await self._run(_ask_network_list_manager)
        return judge_cost(is_connected=is_connected, flags=cost)

    def notify(self, poke: Callable[[], None]) -> None:
        """Nothing is subscribed to; the next look tells."""

    async def aclose(self) -> None:
        """Nothing is held."""


class WindowsPower:
    """Implements `Probe`."""

    def __init__(self, run: Runner) -> None:
        self._run = run

    async def look(self) -> PowerConditions:
        """Ask ``GetSystemPowerStatus``."""
        return judge_saver(await self._run(_ask_power_status))

    def notify(self, poke: Callable[[], None]) -> None:
        """Nothing is subscribed to; the next look tells."""

    async def aclose(self) -> None:
        """Nothing is held."""


def judge_cost(*, is_connected: bool | None, flags: int | None) -> NetworkConditions:
    """Return what the flags of ``INetworkCostManager.GetCost`` mean."""
    if is_connected is False:
        return NetworkConditions(is_up=False, reason="Windows is connected to no network.")
    cost = next((cost for mask, cost in _COSTS if flags is not None and flags & mask), NetworkCost.UNKNOWN)
    if cost is NetworkCost.UNKNOWN:
        return NetworkConditions(is_up=is_connected, reason="Windows does not tell what the network costs.")
    # Windows asks background transfers to stop where it says that the limit is passed.
    restricted = cost is NetworkCost.OVER_LIMIT
    reason = f"Windows says that the network is {cost.value}."
    return NetworkConditions(is_up=is_connected, cost=cost, background_data_restricted=restricted, reason=reason)


def judge_saver(flag: int | None) -> PowerConditions:
    """Return what ``SYSTEM_POWER_STATUS.SystemStatusFlag`` means."""
    if flag is None:
        return PowerConditions(reason="Windows does not tell about its battery saver.")
    is_saving = flag == _SAVER_ON
    return PowerConditions(on_battery_saver=is_saving, reason="Windows' battery saver is on." if is_saving else "")


class _PowerStatus(ctypes.Structure):
    _fields_ = (
        ("ac_line_status", ctypes.c_ubyte),
        ("battery_flag", ctypes.c_ubyte),
        ("battery_life_percent", ctypes.c_ubyte),
        ("system_status_flag", ctypes.c_ubyte),
        ("battery_life_time", ctypes.c_uint32),
        ("battery_full_life_time", ctypes.c_uint32),
    )


def _library(name: str) -> Any:
    return getattr(ctypes, "windll")[name]  # noqa: B009 (it exists on Windows only)


def _ask_power_status() -> int | None:
    status = _PowerStatus()
    if not _library("kernel32").GetSystemPowerStatus(ctypes.byref(status)):
        return None
    return int(status.system_status_flag)


def _ask_network_list_manager() -> tuple[bool | None, int | None]:
    """Return whether there is a connection, and the flags of its cost; None for what could not be asked."""
    library = _library("ole32")
    # S_OK and S_FALSE (this thread has it already) are both to be balanced; an error is not.
    has_com = library.CoInitializeEx(None, 0) in (0, 1)
    try:
        connected = ctypes.c_short()
        cost = ctypes.c_uint32()
        is_told = _ask(library, _INETWORK_LIST_MANAGER, _IS_CONNECTED, ctypes.byref(connected))
        is_priced = _ask(library, _INETWORK_COST_MANAGER, _GET_COST, ctypes.byref(cost), None)
        return (bool(connected.value) if is_told else None, cost.value if is_priced else None)
    finally:
        if has_com:
            library.CoUninitialize()


def _ask(library: Any, interface: uuid.UUID, method: int, *arguments: Any) -> bool:
    """Call one method of one interface of the Network List Manager; return whether it succeeded."""
    pointer = ctypes.c_void_p()
    class_id, interface_id = (
        ctypes.create_string_buffer(each.bytes_le, 16) for each in (_NETWORK_LIST_MANAGER, interface)
    )
    if library.CoCreateInstance(class_id, None, _CLSCTX_ALL, interface_id, ctypes.byref(pointer)) != 0:
        return False
    try:
        return _method(pointer, method, len(arguments))(pointer, *arguments) == 0
    finally:
        _method(pointer, _RELEASE, 0)(pointer)


def _method(pointer: ctypes.c_void_p, index: int, arity: int) -> Callable[..., int]:
    table = ctypes.cast(pointer, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
    prototype = getattr(ctypes, "WINFUNCTYPE")  # noqa: B009 (it exists on Windows only)
    function: Callable[..., int] = prototype(ctypes.c_long, ctypes.c_void_p, *[ctypes.c_void_p] * arity)(table[index])
    return function
