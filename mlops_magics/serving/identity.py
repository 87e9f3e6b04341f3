"""The certificate that a worker shows: read when it starts, and again when its files were renewed."""

from __future__ import annotations

import logging
import os
import ssl
import time
from typing import Final

from mlops_magics.artifact.certificate import load, shown
from mlops_magics.artifact.guard import Certificate
from mlops_magics.foundation.errors import MLOpsError

_log = logging.getLogger(__name__)

_LOOK: Final = 5.0  # seconds between two looks at the files


class Identity:
    """What a worker shows to those who connect.

    Args:
        certificate: Its files.

    Attributes:
        context: What each new connection is met with.

    Raises:
        RefusedError: The key is not private, or not this certificate's.
        UnavailableError: A file cannot be read.
    """

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self._seen = self._look()
        self._look_at = time.monotonic() + _LOOK
        self.context: ssl.SSLContext = shown(certificate)

    def renew(self) -> None:
        """Show what the files hold now, where they have changed; what cannot be used changes nothing."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            shown(self._certificate)  # tried apart first: of two files one may be written and one not yet
            load(self.context, self._certificate)
        except MLOpsError as error:
            _log.warning("The renewed certificate is not shown. %s %s", error.what, error.remedy)
        else:
            _log.info("The renewed certificate %s is shown from now on.", self._certificate.file)

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in (self._certificate.file, self._certificate.private_key):
            try:
                stat = os.stat(path)  # noqa: PTH116 - the links that renewing tools move are followed
                found.append((stat.st_ino, stat.st_mtime_ns, stat.st_mode))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)
