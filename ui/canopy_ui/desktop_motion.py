"""Whether the desktop asks programs not to move things."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher

_PORTAL = ("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop", "org.freedesktop.portal.Settings")
_STILL_AT = {  # a setting of the portal → the value that asks for rest
    ("org.freedesktop.appearance", "reduced-motion"): 1,
    ("org.gnome.desktop.interface", "enable-animations"): False,
}
_SPI_GETCLIENTAREAANIMATION = 0x1042


class DesktopMotion(QObject):
    """Asks once. On Linux the answer comes later, or never where there is no portal."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.still = False
        if sys.platform == "win32":
            self.still = _still_on_windows()
        elif sys.platform == "darwin":
            self.still = _still_on_macos()
        else:
            self._ask_portal()

    def _ask_portal(self) -> None:
        bus = QDBusConnection.sessionBus()
        if not bus.isConnected():
            return
        for namespace, key in _STILL_AT:
            message = QDBusMessage.createMethodCall(*_PORTAL, "ReadOne")
            message.setArguments([namespace, key])
            watcher = QDBusPendingCallWatcher(bus.asyncCall(message), self)
            watcher.setObjectName(f"{namespace} {key}")
            watcher.finished.connect(self._on_answered)

    @Slot(QDBusPendingCallWatcher)
    def _on_answered(self, watcher: QDBusPendingCallWatcher) -> None:
        namespace, _, key = watcher.objectName().partition(" ")
        if not self.still and asks_for_rest(namespace, key, watcher.reply().arguments()):
            self.still = True
            self.changed.emit()
        watcher.deleteLater()


def asks_for_rest(namespace: str, key: str, answer: list[object]) -> bool:
    """Whether the portal's answer for a setting asks for rest; an error's text does not."""
    if len(answer) != 1:
        return False
    value = answer[0].variant() if hasattr(answer[0], "variant") else answer[0]
    wanted = _STILL_AT[namespace, key]
    return type(value) is type(wanted) and value == wanted


def _still_on_windows() -> bool:
    animated = ctypes.c_int(1)
    user32 = getattr(ctypes, "windll").user32  # noqa: B009 - it is there on Windows alone
    user32.SystemParametersInfoW(_SPI_GETCLIENTAREAANIMATION, 0, ctypes.byref(animated), 0)
    return not animated.value


def _still_on_macos() -> bool:
    library = ctypes.CDLL(ctypes.util.find_library("CoreFoundation"))
    library.CFStringCreateWithCString.restype = ctypes.c_void_p
    library.CFStringCreateWithCString.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
    library.CFPreferencesGetAppBooleanValue.argtypes = [ctypes.c_void_p] * 3
    library.CFPreferencesGetAppBooleanValue.restype = ctypes.c_ubyte
    key, domain = (
        library.CFStringCreateWithCString(None, text, 0x08000100)  # UTF-8
        for text in (b"reduceMotion", b"com.apple.universalaccess")
    )
    return bool(library.CFPreferencesGetAppBooleanValue(key, domain, None))
